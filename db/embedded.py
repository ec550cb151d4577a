"""The store for a machine without servers: one SQLite file, which several processes may share.

A write is one transaction, in which the triggers of ``embedded.sql`` make the lists agree with the
row. Point reads run in the event loop, because they take some microseconds and never wait for a
writer. Longer work runs in a thread, as one SQL step where possible. The driver releases the
interpreter lock at every step, and has to wait for the lock while the loop is busy.
"""

import sys
from collections.abc import Collection, Sequence
from sqlite3 import Connection
from typing import Any

import orjson

from db.embedded_file import FileConnection, T
from db.health import Health
from db.store import GENRE_LIST, IDENTITY, Place, State, Stored, Written
from db.version import Expected, new_id, next_version
from db.video import Changes, Row, apply, build
from errors import Invalid, NotFound

_SWITCH_S = 0.0001
NEWEST_FIRST = 0xFFFF_FFFF_FFFF_FFFF_7F7F_7F7F_7F7F_7F7F
_FIND = "SELECT body, request_hash FROM video WHERE id = ?"
_ARRAY = "SELECT json_group_array(id) FROM ({})"
_LIST = _ARRAY.format("SELECT id FROM entry WHERE genre = ? ORDER BY position, id LIMIT ?")
_PAGE = """SELECT json_group_array(json_array(created, id)) FROM (
  SELECT video.created, entry.id FROM entry JOIN video ON video.id = entry.id
  WHERE genre = ? AND (entry.position, entry.id) > (?, ?)
  ORDER BY entry.position, entry.id LIMIT ?)"""
_IDS = _ARRAY.format("SELECT id FROM video WHERE id > ? ORDER BY id LIMIT ?")
# jumps from one genre to the next, however many rows each has
_GENRES = _ARRAY.format("""WITH RECURSIVE found(genre) AS (
  SELECT min(genre) FROM entry UNION ALL
  SELECT (SELECT min(genre) FROM entry WHERE genre > found.genre) FROM found
  WHERE found.genre IS NOT NULL)
  SELECT genre AS id FROM found WHERE genre IS NOT NULL""")
_KNOWN = _ARRAY.format("""SELECT value AS id FROM json_each(?)
  WHERE value IN (SELECT id FROM video) OR value IN (SELECT id FROM deleted)""")
_ADD = """INSERT INTO video (id, created, position, request_hash, body) SELECT ?, ?, ?, ?, ?
  WHERE NOT EXISTS (SELECT 1 FROM deleted WHERE id = ?) ON CONFLICT DO NOTHING"""


class EmbeddedStore:
    """A ``CatalogueStore`` over the SQLite file at ``path``, made when absent.

    ``open`` raises ConfigError if the file cannot be used. A write waits up to BUSY_S for another
    process's write, and then raises Unavailable.
    """

    name = "embedded"

    def __init__(self, path: str):
        self._path = path
        self._health = Health("SQLite", "not opened yet")
        self.timings = self._health.timings
        self._is_closed = False
        self._writer = FileConnection("store-write", self._health)
        self._scanner = FileConnection("store-scan", self._health)
        self._reader = FileConnection("store-read", self._health)

    async def open(self) -> None:
        # Without this a thread can wait seconds for the interpreter lock (10 s were measured),
        # because each step of a busy loop that is shorter than the interval restarts the wait.
        sys.setswitchinterval(min(_SWITCH_S, sys.getswitchinterval()))
        try:
            await self._writer.open(self._path, writes=True)
            await self._scanner.open(self._path)
            await self._reader.open(self._path)
        except BaseException:
            await self.close()
            raise
        self._health.answered()

    async def close(self) -> None:
        self._is_closed = True
        for connection in (self._reader, self._scanner, self._writer):
            await connection.close()

    def state(self) -> tuple[State, str]:
        return ("down", "closed") if self._is_closed else self._health.state

    async def identity(self) -> str:
        return await self.note(IDENTITY) or ""

    async def video(self, video_id: str) -> Row:
        return _there(self._reader.read_now(lambda c: _find(c, video_id)))[0]

    async def genre(self, genre: str) -> list[str]:
        return _there(self._reader.read_now(lambda c: _array(c, _LIST, genre, GENRE_LIST)))

    async def genre_page(self, genre: str, after: Place | None, limit: int) -> list[Place]:
        place = (position(after.created), after.video_id) if after else (b"", "")
        found = await self._scanner.read(lambda c: _array(c, _PAGE, genre, *place, limit))
        return [Place(*each) for each in found]

    async def genres(self) -> list[str]:
        return await self._scanner.read(lambda c: _array(c, _GENRES))

    async def random_id(self) -> str:
        drawn = self._reader.read_now(lambda c: _array(c, _IDS, new_id(), 1))
        drawn = drawn or self._reader.read_now(lambda c: _array(c, _IDS, "", 1))
        return str(_there(drawn)[0])

    async def ids(self, after: str | None, limit: int) -> list[str]:
        return await self._scanner.read(lambda c: _array(c, _IDS, after or "", limit))

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        return await self._writer.write(lambda c: _create(c, video_id, values, request_hash))

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        return await self._writer.write(lambda c: _update(c, video_id, changes, expected))

    async def delete(self, video_id: str, expected: Expected) -> Written:
        return await self._writer.write(lambda c: _delete(c, video_id, expected))

    async def note(self, name: str) -> str | None:
        sql = "SELECT value FROM about WHERE name = ?"
        found = self._reader.read_now(lambda c: c.execute(sql, (name,)).fetchone())
        return found and str(found[0])

    async def set_note(self, name: str, value: str) -> None:
        sql = "INSERT OR REPLACE INTO about VALUES (?, ?)"
        await self._writer.write(lambda c: c.execute(sql, (name, value)))

    async def known(self, ids: Collection[str]) -> set[str]:
        asked = orjson.dumps(list(ids)).decode()
        return set(await self._scanner.read(lambda c: _array(c, _KNOWN, asked)))

    async def load(self, rows: Sequence[Stored]) -> None:
        await self._writer.write(lambda c: _add(c, rows))


def _there(found: T | None) -> T:
    if not found:
        raise NotFound
    return found


def position(created: str) -> bytes:
    """Return 16 bytes whose ascending order is Cassandra's descending order of timeuuids.

    That order is by timestamp, then by the lower half as signed bytes (``TimeUUIDType``).
    """
    ticks = created[15:18] + created[9:13] + created[:8]
    return (int(ticks + created[19:23] + created[24:], 16) ^ NEWEST_FIRST).to_bytes(16, "big")


def _array(connection: Connection, sql: str, *values: object) -> list[Any]:
    array: list[Any] = orjson.loads(connection.execute(sql, values).fetchone()[0])
    return array


def _find(connection: Connection, video_id: str) -> tuple[Row, str | None] | None:
    """Return the row and its request's hash, or None if there is no row."""
    found = connection.execute(_FIND, (video_id,)).fetchone()
    return found and (orjson.loads(found[0]), found[1])


def _create(
    connection: Connection, video_id: str, values: dict[str, Any], request_hash: str | None
) -> Row:
    if there := _find(connection, video_id):
        if request_hash is None or there[1] != request_hash:
            raise Invalid("The Idempotency-Key was used with another body")
        return there[0]
    row = build(video_id, next_version(), values)
    connection.execute("DELETE FROM deleted WHERE id = ?", (video_id,))
    _add(connection, [Stored(row, row["lastupdated"], request_hash)])
    return row


def _add(connection: Connection, rows: Sequence[Stored]) -> None:
    """Add the rows that are not ``known``."""
    for row, created, request_hash in rows:
        values = row["id"], created, position(created), request_hash, orjson.dumps(row), row["id"]
        connection.execute(_ADD, values)


def _update(connection: Connection, video_id: str, changes: Changes, expected: Expected) -> Written:
    before = _expect(connection, video_id, expected, "update")
    after = apply(before, changes, next_version(after=before["lastupdated"]))
    values = orjson.dumps(after), video_id
    connection.execute("UPDATE video SET body = ? WHERE id = ?", values)
    return Written(before, after)


def _delete(connection: Connection, video_id: str, expected: Expected) -> Written:
    before = _expect(connection, video_id, expected, "delete")
    connection.execute("DELETE FROM video WHERE id = ?", (video_id,))
    return Written(before, None)


def _expect(connection: Connection, video_id: str, expected: Expected, verb: str) -> Row:
    """Return the row, which fulfils ``expected``."""
    found = _find(connection, video_id)
    if found is None:
        raise NotFound(f"Could not {verb} a nonexistent video")
    expected.check(found[0])
    return found[0]
