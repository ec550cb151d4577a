-- The tables of the embedded store. Every statement may run again, because two processes may make
-- a new file at once.

-- A row. The table keeps its rowid: rows have some 700 bytes, so a tree clustered by id would hold
-- six to a page, be twice as deep, and read every row for a page of ids. The index of the key alone
-- answers ids and random_id.
CREATE TABLE IF NOT EXISTS video (
    id TEXT PRIMARY KEY,
    created TEXT NOT NULL,
    position BLOB NOT NULL,
    request_hash TEXT,
    body BLOB NOT NULL
);

-- The ids of deleted rows, so that no import brings a row back.
CREATE TABLE IF NOT EXISTS deleted (id TEXT PRIMARY KEY) WITHOUT ROWID;

-- The lists of the genres, which the triggers keep: a row has a line in each of its genres.
CREATE TABLE IF NOT EXISTS entry (
    genre TEXT,
    position BLOB,
    id TEXT,
    PRIMARY KEY (genre, position, id)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS video_added AFTER INSERT ON video BEGIN
    INSERT INTO entry SELECT value, new.position, new.id
    FROM json_each(CAST(new.body AS TEXT), '$.genres');
END;

CREATE TRIGGER IF NOT EXISTS video_changed AFTER UPDATE OF body ON video BEGIN
    DELETE FROM entry WHERE (genre, position, id) IN (
        SELECT value, old.position, old.id FROM json_each(CAST(old.body AS TEXT), '$.genres'));
    INSERT INTO entry SELECT value, new.position, new.id
    FROM json_each(CAST(new.body AS TEXT), '$.genres');
END;

CREATE TRIGGER IF NOT EXISTS video_deleted AFTER DELETE ON video BEGIN
    DELETE FROM entry WHERE (genre, position, id) IN (
        SELECT value, old.position, old.id FROM json_each(CAST(old.body AS TEXT), '$.genres'));
    INSERT INTO deleted VALUES (old.id);
END;

-- Notes about the whole store: its identity, and notes of the importer.
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
