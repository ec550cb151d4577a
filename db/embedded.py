"""The store for a machine without servers: one SQLite file, which several processes may share.

A write is one transaction, so a row and its lines never disagree. Point reads run in the event
loop, because they take some microseconds and never wait for a writer. Longer work runs in a thread
(``Lane``), as one SQL step where possible. The driver releases the interpreter lock at every step,
and has to wait for the lock while the loop is busy.
"""

from __future__ import annotations

import sqlite3
import sys
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from itertools import chain
from typing import Any

import orjson

from db.embedded_entries import created_at, drop, lines, put
from db.embedded_file import Lane, about, connect, judged, prepare, set_about
from db.health import Health
from db.store import GENRE_LIST, IDENTITY, Entry, State, Stored, Written
from db.version import Expected, new_id, next_version
from db.video import Changes, Row, apply, build, genres_left
from errors import Invalid, NotFound, Unavailable

_PAGE = 500
_SWITCH_S = 0.0001
_ROW = "SELECT body FROM video WHERE id = ?"
_LIST = "SELECT id FROM entry WHERE genre = ? ORDER BY position, id LIMIT ?"
_IDS = """SELECT json_group_array(id) FROM
  (SELECT id FROM video WHERE id > ? ORDER BY id LIMIT ?)"""
_FROM = "SELECT id FROM video WHERE id >= ? ORDER BY id LIMIT 1"
# jumps from one genre to the next, however many rows each has
_GENRES = """WITH RECURSIVE found(genre) AS (
  SELECT min(genre) FROM entry UNION ALL
  SELECT (SELECT min(genre) FROM entry WHERE genre > found.genre) FROM found
  WHERE found.genre IS NOT NULL)
  SELECT json_group_array(genre) FROM found WHERE genre IS NOT NULL"""
_SCAN = """SELECT id, body, created, request_hash FROM video
  WHERE id > ? ORDER BY id LIMIT ?"""
_ENTRIES = """SELECT genre, position, id, version FROM entry
  WHERE (genre, position, id) > (?, ?, ?) ORDER BY genre, position, id LIMIT ?"""
_KNOWN = """SELECT id FROM video WHERE id IN (SELECT value FROM json_each(?1)) UNION ALL
  SELECT id FROM deleted WHERE id IN (SELECT value FROM json_each(?1))"""
_INSERT = "INSERT INTO video (id, created, request_hash, body) VALUES (?, ?, ?, ?)"


class EmbeddedStore:
    """A ``CatalogueStore`` over the SQLite file at ``path``, made when absent.

    ``open`` raises ConfigError if the file cannot be used. A write waits up to BUSY_S for another
    process's write, and then raises Unavailable.
    """

    name = "embedded"

    def __init__(self, path: str):
        self._path = path
        self._health = Health("SQLite", "not opened yet")
        self._is_closed = False
        self._reader: sqlite3.Connection | None = None
        self._writer = Lane("store-write", self._health)
        self._scanner = Lane("store-scan", self._health)
        self._identity = ""

    async def open(self) -> None:
        # Without this a thread can wait seconds for the interpreter lock (10 s were measured),
        # because each step of a busy loop that is shorter than the interval restarts the wait.
        sys.setswitchinterval(min(_SWITCH_S, sys.getswitchinterval()))
        try:
            await self._writer.open(lambda: prepare(self._path))
            await self._scanner.open(lambda: connect(self._path))
            self._identity = await self.note(IDENTITY) or ""
        except BaseException:
            await self.close()
            raise
        self._reader = connect(self._path)
        self._health.answered()

    async def close(self) -> None:
        self._is_closed = True
        reader, self._reader = self._reader, None
        if reader:
            reader.close()
        await self._scanner.close()
        await self._writer.close()

    def state(self) -> tuple[State, str]:
        return ("down", "closed") if self._is_closed else self._health.state

    async def identity(self) -> str:
        if not self._identity:
            raise Unavailable("The store is not open")
        return self._identity

    def _read(self, sql: str, values: tuple[object, ...]) -> list[Any]:
        """Run a short read in the event loop. Fetch all rows, so that no snapshot stays open."""
        if self._reader is None:
            raise Unavailable("The store is not open")
        reader = self._reader
        return judged(self._health, "reads", lambda: reader.execute(sql, values).fetchall())

    async def video(self, video_id: str) -> Row:
        found = self._read(_ROW, (video_id,))
        if not found:
            raise NotFound
        row: Row = judged(self._health, "reads", lambda: orjson.loads(found[0][0]))
        return row

    async def genre(self, genre: str) -> list[str]:
        found = self._read(_LIST, (genre, GENRE_LIST))
        if not found:
            raise NotFound
        return [video_id for (video_id,) in found]

    async def genres(self) -> list[str]:
        return await self._scanner.read(lambda c: _array(c, _GENRES))

    async def random_id(self) -> str:
        found = self._read(_FROM, (new_id(),)) or self._read(_FROM, ("",))
        if not found:
            raise NotFound
        return str(found[0][0])

    async def ids(self, after: str | None, limit: int) -> list[str]:
        return await self._scanner.read(lambda c: _array(c, _IDS, after or "", limit))

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        return await self._writer.write(lambda c: _create(c, video_id, values, request_hash))

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        return await self._writer.write(lambda c: _update(c, video_id, changes, expected))

    async def delete(self, video_id: str, expected: Expected) -> Written:
        return await self._writer.write(lambda c: _delete(c, video_id, expected))

    async def note(self, name: str) -> str | None:
        return await self._scanner.read(lambda c: about(c, name))

    async def set_note(self, name: str, value: str) -> None:
        await self._writer.write(lambda c: set_about(c, name, value))

    async def renew_identity(self) -> None:
        self._identity = str(uuid.uuid4())
        await self.set_note(IDENTITY, self._identity)

    async def known(self, ids: Collection[str]) -> set[str]:
        return await self._scanner.read(lambda c: _known(c, ids))

    async def load(self, rows: Sequence[Stored]) -> None:
        await self._writer.write(lambda c: _load(c, rows))

    async def find(self, video_id: str) -> Stored | None:
        sql = "SELECT body, created, request_hash FROM video WHERE id = ?"
        found = self._read(sql, (video_id,))
        return Stored(orjson.loads(found[0][0]), *found[0][1:]) if found else None

    async def scan(self, after: str | None = None) -> AsyncIterator[Stored]:
        place = after or ""
        while page := await self._page(_SCAN, place):
            for _, body, created, request_hash in page:
                yield Stored(orjson.loads(body), created, request_hash)
            place = page[-1][0]

    async def entries(self) -> AsyncIterator[Entry]:
        place: tuple[str, bytes, str] = ("", b"", "")
        while page := await self._page(_ENTRIES, *place):
            for genre, where, video_id, version in page:
                yield Entry(genre, created_at(where), video_id, version)
            place = page[-1][:3]

    async def _page(self, sql: str, *place: object) -> list[Any]:
        return await self._scanner.read(lambda c: c.execute(sql, (*place, _PAGE)).fetchall())

    async def put_entry(self, entry: Entry) -> None:
        await self._writer.write(lambda c: put(c, [entry]))

    async def drop_entry(self, entry: Entry) -> None:
        await self._writer.write(lambda c: drop(c, [entry]))

    async def check_genres(self, genres: Collection[str]) -> None:
        """Do nothing, because ``genres`` reads the lines themselves."""


def _array(connection: sqlite3.Connection, sql: str, *values: object) -> list[str]:
    array: list[str] = orjson.loads(connection.execute(sql, values).fetchone()[0])
    return array


def _create(
    connection: sqlite3.Connection, video_id: str, values: dict[str, Any], request_hash: str | None
) -> Row:
    sql = "SELECT body, request_hash FROM video WHERE id = ?"
    if there := connection.execute(sql, (video_id,)).fetchone():
        if request_hash is None or there[1] != request_hash:
            raise Invalid("The Idempotency-Key was used with another body")
        stored: Row = orjson.loads(there[0])
        return stored
    row = build(video_id, next_version(), values)
    created = row["lastupdated"]
    connection.execute("DELETE FROM deleted WHERE id = ?", (video_id,))
    connection.execute(_INSERT, (video_id, created, request_hash, orjson.dumps(row)))
    put(connection, lines(row["genres"], created, video_id, created))
    return row


def _update(
    connection: sqlite3.Connection, video_id: str, changes: Changes, expected: Expected
) -> Written:
    before, created = _found(connection, video_id, "Could not update a nonexistent video")
    expected.check(before)
    after = apply(before, changes, next_version(after=before["lastupdated"]))
    sql = "UPDATE video SET body = ? WHERE id = ?"
    connection.execute(sql, (orjson.dumps(after), video_id))
    left, _ = genres_left(before, after)
    drop(connection, lines(left, created, video_id, after["lastupdated"]))
    put(connection, lines(after["genres"], created, video_id, after["lastupdated"]))
    return Written(before, after)


def _delete(connection: sqlite3.Connection, video_id: str, expected: Expected) -> Written:
    before, created = _found(connection, video_id, "Could not delete a nonexistent video")
    expected.check(before)
    connection.execute("DELETE FROM video WHERE id = ?", (video_id,))
    connection.execute("INSERT INTO deleted VALUES (?)", (video_id,))
    version = next_version(after=before["lastupdated"])
    drop(connection, lines(before["genres"], created, video_id, version))
    return Written(before, None)


def _found(connection: sqlite3.Connection, video_id: str, otherwise: str) -> tuple[Row, str]:
    sql = "SELECT body, created FROM video WHERE id = ?"
    found = connection.execute(sql, (video_id,)).fetchone()
    if found is None:
        raise NotFound(otherwise)
    return orjson.loads(found[0]), found[1]


def _known(connection: sqlite3.Connection, ids: Collection[str]) -> set[str]:
    found = connection.execute(_KNOWN, (orjson.dumps(list(ids)).decode(),))
    return {video_id for (video_id,) in found}


def _load(connection: sqlite3.Connection, rows: Sequence[Stored]) -> None:
    given = {stored.row["id"]: stored for stored in rows}
    for video_id in _known(connection, given):
        del given[video_id]
    connection.executemany(
        _INSERT,
        (
            (video_id, stored.created, stored.request_hash, orjson.dumps(stored.row))
            for video_id, stored in given.items()
        ),
    )
    listed = (
        lines(row["genres"], created, video_id, row["lastupdated"])
        for video_id, (row, created, _) in given.items()
    )
    put(connection, chain.from_iterable(listed))
