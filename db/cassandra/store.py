"""The store on Cassandra. It reads rows as JSON, because decoding their columns costs more."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import orjson

from config import Config
from db.cassandra import lines, loader, writes
from db.cassandra.limit import Limit
from db.cassandra.loader import Loader
from db.cassandra.session import NOTE, Cassandra
from db.cassandra.writes import NAMES, Writes
from db.store import GENRE_LIST, Entry, Place, State, Stored, Written
from db.version import Expected, next_version
from db.video import Changes, Row, apply, build, shape
from errors import Conflict, Invalid, NotFound

READ = f"SELECT JSON {NAMES} FROM video WHERE id = ?"
NEXT = "SELECT id FROM video WHERE token(id) > token(?) LIMIT ?"
FROM = "SELECT id FROM video WHERE token(id) >= ? LIMIT ?"
LIST = "SELECT created, id FROM video_by_genre WHERE genre = ? LIMIT ?"
TWINS = "SELECT created, id FROM video_by_genre WHERE genre = ? AND created = ? AND id > ? LIMIT ?"
OLDER = "SELECT created, id FROM video_by_genre WHERE genre = ? AND created < ? LIMIT ?"
SET_NOTE = "INSERT INTO about (name, value) VALUES (?, ?)"
ENTRIES = (
    "SELECT genre, created, id, version FROM video_by_genre"
    " WHERE token(genre) > ? AND token(genre) <= ?"
)
STATEMENTS = (
    *(READ, NEXT, FROM, LIST, TWINS, OLDER, ENTRIES, SET_NOTE),
    *(*writes.STATEMENTS, *lines.STATEMENTS, *loader.STATEMENTS),
)

ATTEMPTS = 5
CLOSE_S = 3.0
TOKENS = -(2**63), 2**63 - 1
PARTS = 64
"""``entries`` reads the token ring in so many parts. A read passes over every tombstone between two
lines, and Cassandra fails above 100,000. In parts, the tombstones of all genres do not add up."""


class CassandraStore(Loader):
    """A ``CatalogueStore`` over one keyspace. A read costs one round trip, a write three.

    ``entries``, ``lives`` and ``lines`` are for ``db/catalog/repair.py``.
    """

    name = "cassandra"

    def __init__(self, config: Config, limit: Limit | None = None) -> None:
        self._cassandra = Cassandra(config, STATEMENTS, limit)
        self.timings = self._cassandra.health.timings
        self._writes = Writes(self._cassandra)
        self.lines = self._writes.lines

    async def open(self) -> None:
        await self._cassandra.open()

    async def close(self) -> None:
        await self._writes.background.close(CLOSE_S)
        await self._cassandra.close()

    def state(self) -> tuple[State, str]:
        return self._cassandra.health.state

    async def identity(self) -> str:
        return self._cassandra.identity

    async def video(self, video_id: str) -> Row:
        result = await self._cassandra.read(READ, (video_id,))
        found = result.first()
        if found is None:
            raise NotFound()
        row: Row = orjson.loads(found.column_value_by_index(0))
        return shape(row)

    async def genre(self, genre: str) -> list[str]:
        places = await self.genre_page(genre, None, GENRE_LIST)
        if not places:
            raise NotFound()
        return [place.video_id for place in places]

    async def genre_page(self, genre: str, after: Place | None, limit: int) -> list[Place]:
        if after is None:
            return await self._places(LIST, genre, limit)
        places = await self._places(TWINS, genre, *after, limit)
        if len(places) < limit:
            places += await self._places(OLDER, genre, after.created, limit - len(places))
        return places

    async def _places(self, cql: str, *values: Any) -> list[Place]:
        result = await self._cassandra.read(cql, values)
        return [Place(*row.as_tuple()) for row in result.all()]

    async def genres(self) -> list[str]:
        return await self.lines.genres()

    async def random_id(self) -> str:
        ids = await self._ids(FROM, random.randint(*TOKENS), 1) or await self.ids(None, 1)
        if not ids:
            raise NotFound()
        return ids[0]

    async def ids(self, after: str | None, limit: int) -> list[str]:
        """Return ids in the order of tokens.

        If two ids have one token (one pair in 10^6 catalogues of 5 M rows), the second may be
        missing at the edge of a page.
        """
        if after is None:
            return await self._ids(FROM, TOKENS[0], limit)
        return await self._ids(NEXT, after, limit)

    async def _ids(self, cql: str, *values: Any) -> list[str]:
        result = await self._cassandra.read(cql, values)
        return [row.column_value_by_index(0) for row in result.all()]

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        return await self._writes.background.finish(self._create(video_id, values, request_hash))

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        return await self._writes.background.finish(self._replace(video_id, changes, expected))

    async def delete(self, video_id: str, expected: Expected) -> Written:
        return await self._writes.background.finish(self._replace(video_id, None, expected))

    async def _create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        # read first: when a row is made or found afterwards, all other lives recorded here are over
        earlier = await self._writes.earlier(video_id) if request_hash else []
        version = next_version()
        stored = Stored(build(video_id, version, values), version, request_hash)
        if not await self._writes.insert(stored):
            found = await self._writes.find(video_id)
            if found is None:
                raise Conflict()  # another writer made and deleted a row meanwhile
            if request_hash is None or found.stored.request_hash != request_hash:
                raise Invalid("The Idempotency-Key was used with another body")
            # the first request may have died before its lines; putting them again changes nothing
            stored = found.stored
            await self.lines.follow(found.life)
        over = (life for life in earlier if life.created != stored.created)
        await asyncio.gather(*(self.lines.follow(life.ended()) for life in over))
        return stored.row

    async def _replace(self, video_id: str, changes: Changes | None, expected: Expected) -> Written:
        """Apply ``changes`` to the row; None: delete it."""
        for _ in range(ATTEMPTS):
            found = await self._writes.find(video_id)
            if found is None:
                verb = "delete" if changes is None else "update"
                raise NotFound(f"Could not {verb} a nonexistent video")
            expected.check(found.row)
            if changes is None:
                after = None
                is_done = await self._writes.remove(found)
            else:
                after = apply(found.row, changes, next_version(found.row["lastupdated"]))
                is_done = await self._writes.swap(found, after)
            if is_done:
                return Written(found.row, after)
        raise Conflict()

    async def note(self, name: str) -> str | None:
        found = (await self._cassandra.execute(NOTE, (name,))).first()
        return None if found is None else str(found.column_value_by_index(0))

    async def set_note(self, name: str, value: str) -> None:
        await self._cassandra.execute(SET_NOTE, (name, value))

    async def entries(self) -> AsyncIterator[list[Entry]]:
        """Yield every line of every genre list, also a line without a row, by pages."""
        first, last = TOKENS
        bounds = [*range(first, last, (last - first) // PARTS), last]
        for place in pairwise(bounds):
            async for page in self._cassandra.scan(ENTRIES, place):
                yield [Entry(*found.as_tuple()) for found in page]
