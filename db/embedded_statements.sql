-- The statements of the embedded store (db/embedded.py). A statement for several values returns one
-- JSON array, because each step of SQLite costs a turn at the interpreter lock.

-- name: find_row
SELECT body, created, request_hash FROM video WHERE id = ?;
-- name: genre
SELECT json_group_array(id) FROM (
    SELECT id FROM entry WHERE genre = ? ORDER BY position, id LIMIT ?);
-- name: genre_page
SELECT json_group_array(json_array(created, id)) FROM (
    SELECT video.created, entry.id FROM entry JOIN video ON video.id = entry.id
    WHERE genre = ? AND (entry.position, entry.id) > (?, ?)
    ORDER BY entry.position, entry.id LIMIT ?);
-- name: ids
SELECT json_group_array(id) FROM (SELECT id FROM video WHERE id > ? ORDER BY id LIMIT ?);

-- Jumps from one genre to the next, however many rows each has.
-- name: genres
WITH RECURSIVE found(genre) AS (
    SELECT min(genre) FROM entry UNION ALL
    SELECT (SELECT min(genre) FROM entry WHERE genre > found.genre) FROM found
    WHERE found.genre IS NOT NULL)
SELECT json_group_array(genre) FROM found WHERE genre IS NOT NULL;

-- name: known
SELECT json_group_array(value) FROM json_each(?)
WHERE value IN (SELECT id FROM video) OR value IN (SELECT id FROM deleted);

-- Does nothing for a row that is there, or was deleted.
-- name: add_row
INSERT INTO video (id, created, position, request_hash, body) SELECT ?, ?, ?, ?, ?
WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE id = ?) ON CONFLICT DO NOTHING;
-- name: forget_deletion
DELETE FROM deleted WHERE id = ?;
-- name: update_row
UPDATE video SET body = ? WHERE id = ?;
-- name: delete_row
DELETE FROM video WHERE id = ?;

-- name: note
SELECT value FROM about WHERE name = ?;
-- name: set_note
INSERT OR REPLACE INTO about VALUES (?, ?);
