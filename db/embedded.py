"""The store for a machine without servers: one SQLite file, which several processes may share.

A write is one transaction, in which the triggers of ``embedded.sql`` make the lists agree with the
row. Point reads run in the event loop, because they take some microseconds and never wait for a
writer. Longer work runs in a thread, as one SQL step where possible. The driver releases the
interpreter lock at every step, and has to wait for the lock while the loop is busy.
"""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import orjson

from db.embedded_file import FileConnection, T
from db.health import Health
from db.store import GENRE_LIST, IDENTITY, Place, State, Stored, Written, rewritten, statements_of
from db.version import Expected, new_id, next_version
from db.video import Changes, Row, build
from errors import NotFound

_SWITCH_S = 0.0001
NEWEST_FIRST = 0xFFFF_FFFF_FFFF_FFFF_7F7F_7F7F_7F7F_7F7F
SQL = statements_of(Path(__file__).with_name("embedded_statements.sql"))


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
        return _there(self._reader.read_now(lambda c: _find(c, video_id))).row

    async def genre(self, genre: str) -> list[str]:
        return _there(self._reader.read_now(lambda c: _array(c, "genre", genre, GENRE_LIST)))

    async def genre_page(self, genre: str, after: Place | None, limit: int) -> list[Place]:
        place = (position(after.created), after.video_id) if after else (b"", "")
        found = await self._scanner.read(lambda c: _array(c, "genre_page", genre, *place, limit))
        return [Place(*each) for each in found]

    async def genres(self) -> list[str]:
        return await self._scanner.read(lambda c: _array(c, "genres"))

    async def random_id(self) -> str:
        drawn = self._reader.read_now(lambda c: _array(c, "ids", new_id(), 1))
        drawn = drawn or self._reader.read_now(lambda c: _array(c, "ids", "", 1))
        return str(_there(drawn)[0])

    async def ids(self, after: str | None, limit: int) -> list[str]:
        return await self._scanner.read(lambda c: _array(c, "ids", after or "", limit))

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        return await self._writer.write(lambda c: _create(c, video_id, values, request_hash))

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        return await self._writer.write(lambda c: _replace(c, video_id, changes, expected))

    async def delete(self, video_id: str, expected: Expected) -> Written:
        return await self._writer.write(lambda c: _replace(c, video_id, None, expected))

    async def note(self, name: str) -> str | None:
        found = self._reader.read_now(lambda c: c.execute(SQL["note"], (name,)).fetchone())
        return found and str(found[0])

    async def set_note(self, name: str, value: str) -> None:
        await self._writer.write(lambda c: c.execute(SQL["set_note"], (name, value)))

    async def known(self, ids: Collection[str]) -> set[str]:
        asked = orjson.dumps(list(ids)).decode()
        return set(await self._scanner.read(lambda c: _array(c, "known", asked)))

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


def _array(connection: Connection, name: str, *values: object) -> list[Any]:
    array: list[Any] = orjson.loads(connection.execute(SQL[name], values).fetchone()[0])
    return array


def _find(connection: Connection, video_id: str) -> Stored | None:
    found = connection.execute(SQL["find_row"], (video_id,)).fetchone()
    return found and Stored(orjson.loads(found[0]), *found[1:])


def _create(
    connection: Connection, video_id: str, values: dict[str, Any], request_hash: str | None
) -> Row:
    if there := _find(connection, video_id):
        there.check_repeat(request_hash)
        return there.row
    row = build(video_id, next_version(), values)
    connection.execute(SQL["forget_deletion"], (video_id,))
    _add(connection, [Stored(row, row["lastupdated"], request_hash)])
    return row


def _add(connection: Connection, rows: Sequence[Stored]) -> None:
    """Add the rows that are not ``known``."""
    for row, created, request_hash, _ in rows:
        values = row["id"], created, position(created), request_hash, orjson.dumps(row), row["id"]
        connection.execute(SQL["add_row"], values)


def _replace(
    connection: Connection, video_id: str, changes: Changes | None, expected: Expected
) -> Written:
    """Apply ``changes`` to the row; None: delete it."""
    written = rewritten(_find(connection, video_id), changes, expected)
    if written.after is None:
        connection.execute(SQL["delete_row"], (video_id,))
    else:
        connection.execute(SQL["update_row"], (orjson.dumps(written.after), video_id))
    return written
