"""The store on Cassandra. It reads rows as JSON, because decoding their columns costs more."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Sequence
from itertools import pairwise
from typing import Any

import orjson

from config import Config
from db.cassandra.limit import Limit
from db.cassandra.lines import Life
from db.cassandra.session import Cassandra
from db.cassandra.statements import UNSET, rows_in
from db.cassandra.writes import Writes, values_of
from db.store import GENRE_LIST, Entry, Place, State, Stored, Written, rewritten
from db.version import Expected, next_version, version_us
from db.video import Changes, Row, build, shape
from errors import Conflict, NotFound

ATTEMPTS = 5
CLOSE_S = 3.0
LOADER_AGE_US = 86_400_000_000
TOKENS = -(2**63), 2**63 - 1
PARTS = 64
"""``entries`` reads the token ring in so many parts. A read passes over every tombstone between two
lines, and Cassandra fails above 100,000. In parts, the tombstones of all genres do not add up."""


class CassandraStore:
    """A ``CatalogueStore`` over one keyspace. A read costs one round trip, a write three.

    ``entries``, ``lives`` and ``lines`` are for ``db/catalog/repair.py``.
    """

    name = "cassandra"

    def __init__(self, config: Config, limit: Limit | None = None) -> None:
        self._cassandra = Cassandra(config, limit)
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
        found = (await self._cassandra.read("read_row", (video_id,))).first()
        if found is None:
            raise NotFound()
        return shape(orjson.loads(found.column_value_by_index(0)))

    async def genre(self, genre: str) -> list[str]:
        places = await self.genre_page(genre, None, GENRE_LIST)
        if not places:
            raise NotFound()
        return [place.video_id for place in places]

    async def genre_page(self, genre: str, after: Place | None, limit: int) -> list[Place]:
        if after is None:
            return await self._places("first_lines", genre, limit)
        places = await self._places("twin_lines", genre, *after, limit)
        if len(places) < limit:
            places += await self._places("older_lines", genre, after.created, limit - len(places))
        return places

    async def _places(self, name: str, *values: Any) -> list[Place]:
        return [Place(*row) for row in rows_in(await self._cassandra.read(name, values))]

    async def genres(self) -> list[str]:
        return sorted(name for (name,) in rows_in(await self._cassandra.execute("genres")))

    async def random_id(self) -> str:
        ids = await self._ids("ids_from", random.randint(*TOKENS), 1) or await self.ids(None, 1)
        if not ids:
            raise NotFound()
        return ids[0]

    async def ids(self, after: str | None, limit: int) -> list[str]:
        """Return ids in the order of tokens.

        If two ids have one token (one pair in 10^6 catalogues of 5 M rows), the second may be
        missing at the edge of a page.
        """
        if after is None:
            return await self._ids("ids_from", TOKENS[0], limit)
        return await self._ids("ids_after", after, limit)

    async def _ids(self, name: str, *values: Any) -> list[str]:
        return [video_id for (video_id,) in rows_in(await self._cassandra.read(name, values))]

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        return await self._writes.background.finish(self._create(video_id, values, request_hash))

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        return await self._writes.background.finish(self._replace(video_id, changes, expected))

    async def delete(self, video_id: str, expected: Expected) -> Written:
        return await self._writes.background.finish(self._replace(video_id, None, expected))

    async def _create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        # read first: when a row is made or found afterwards, all other lives recorded here are over
        # (and without a quorum it is known at once that the row was not made)
        earlier = await self._writes.earlier(video_id)
        version = next_version()
        stored = Stored(build(video_id, version, values), version, request_hash)
        if not await self._writes.insert(stored):
            found = await self._writes.find(video_id)
            if found is None:
                raise Conflict()  # another writer made and deleted a row meanwhile
            found.check_repeat(request_hash)
            # the first request may have died before its lines; putting them again changes nothing
            stored = found
            await self.lines.follow(Life.of(found))
        over = (life for life in earlier if life.created != stored.created)
        await asyncio.gather(*(self.lines.follow(life.ended()) for life in over))
        return stored.row

    async def _replace(self, video_id: str, changes: Changes | None, expected: Expected) -> Written:
        """Apply ``changes`` to the row; None: delete it."""
        for _ in range(ATTEMPTS):
            found = await self._writes.find(video_id)
            written = rewritten(found, changes, expected)
            assert found is not None
            if written.after is None:
                is_done = await self._writes.remove(found)
            else:
                is_done = await self._writes.swap(found, written.after)
            if is_done:
                return written
        raise Conflict()

    async def note(self, name: str) -> str | None:
        found = (await self._cassandra.execute("note", (name,))).first()
        return None if found is None else str(found.column_value_by_index(0))

    async def set_note(self, name: str, value: str) -> None:
        await self._cassandra.execute("set_note", (name, value))

    async def known(self, ids: Collection[str]) -> set[str]:
        rows = await self.lives(ids)
        absent = [video_id for video_id in ids if video_id not in rows]
        whole = {video_id for video_id, life in rows.items() if life.listed}
        return whole | {video_id for (video_id,) in await self._among("deleted_ids", absent)}

    async def load(self, rows: Sequence[Stored]) -> None:
        """Add rows by plain inserts with an old timestamp, resumable at every step.

            1. read which rows are there
            2. insert the others, with a timestamp long past and without ``listed``
            3. read the rows as they are now
            4. put the lines of the rows without ``listed``, with the versions of these rows
            5. set ``listed``, with a timestamp long past

        A load that stops leaves rows without ``listed``. They are not ``known``, so the next load
        finishes them at 3, for the life that is there, even when its file says something else by
        now. A row that the API changes or deletes meanwhile has a newer version: lines put at 4 for
        the older version are below the timestamps of that write, and so is ``listed``. A row that
        was deleted before 2 stays deleted, because the insert's timestamp is below the deletion's;
        3 does not find it then.

        Two loads at once whose files disagree about a row may leave lines of the losing load, until
        ``python -m db.catalog repair``.
        """
        there = await self.lives([stored.row["id"] for stored in rows])
        new = [stored for stored in rows if stored.row["id"] not in there]
        inserts = [(*values_of(each), UNSET, _long_past(each.created)) for each in new]
        await self._cassandra.execute_all("load_row", inserts)
        now = await self.lives([stored.row["id"] for stored in rows]) if new else there
        unfinished = [life for life in now.values() if not life.listed]
        await self.lines.put([line for life in unfinished for line in life.lines(life.genres)])
        finished = [
            (_long_past(life.created), sorted(life.genres), life.video_id) for life in unfinished
        ]
        await self._cassandra.execute_all("finish_row", finished)

    async def lives(self, ids: Collection[str]) -> dict[str, Life]:
        """Return the existing rows by id; ``listed`` is empty for a row that is not loaded yet."""
        return {
            video_id: Life(
                video_id, created, version, frozenset(genres or ()), frozenset(listed or ())
            )
            for video_id, created, version, genres, listed in await self._among("lives", ids)
        }

    async def _among(self, name: str, ids: Collection[str]) -> list[tuple[Any, ...]]:
        return rows_in(await self._cassandra.execute(name, (list(ids),)))

    async def entries(self) -> AsyncIterator[list[Entry]]:
        """Yield every line of every genre list, also a line without a row, by pages."""
        first, last = TOKENS
        bounds = [*range(first, last, (last - first) // PARTS), last]
        for place in pairwise(bounds):
            async for page in self._cassandra.scan("lines_of_part", place):
                yield [Entry(*row) for row in page]


def _long_past(created: str) -> int:
    """Return a timestamp (us) below those of the API, even if ``created`` is in the future."""
    return min(version_us(created), time.time_ns() // 1_000 - LOADER_AGE_US)
