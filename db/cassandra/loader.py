"""The loader's writes to Cassandra: plain inserts with an old timestamp, resumable at every step.

    1. read which rows are there
    2. insert the others, with a timestamp long past and without ``listed``
    3. read the rows as they are now
    4. put the lines of the rows without ``listed``, with the current versions of these rows
    5. set ``listed``, with a timestamp long past

An import that stops leaves rows without ``listed``. They are not ``known``, so the next import
finishes them at 3, for the life that is there, even when its file says something else by now.
A row that the API changes or deletes meanwhile has a newer version: lines put at 4 for the older
version are below the timestamps of that write, and so is ``listed``. A row that was deleted before
2 stays deleted, because the insert's timestamp is below the deletion's; 3 does not find it then.

Two imports at once whose files disagree about a row may leave lines of the losing import, until
``python -m db.catalog repair``.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Any

from db.cassandra.lines import Life, Lines
from db.cassandra.session import Cassandra
from db.cassandra.statements import UNSET
from db.cassandra.writes import CREATE, values_of
from db.store import Stored
from db.version import version_us

STATES = "SELECT id, created, lastupdated, genres, listed FROM video WHERE id IN ?"
DELETED = "SELECT DISTINCT id FROM deleted WHERE id IN ?"
LOAD = CREATE.replace("IF NOT EXISTS", "USING TIMESTAMP ?")
FINISH = "UPDATE video USING TIMESTAMP ? SET listed = ? WHERE id = ?"
STATEMENTS = (STATES, DELETED, LOAD, FINISH)

LOADER_AGE_US = 86_400_000_000


class Loader:
    """``known`` and ``load`` of a ``CatalogueStore``, and the ``lives`` of rows."""

    _cassandra: Cassandra
    lines: Lines

    async def known(self, ids: Collection[str]) -> set[str]:
        rows = await self.lives(ids)
        absent = [video_id for video_id in ids if video_id not in rows]
        whole = {video_id for video_id, life in rows.items() if life.listed}
        return whole | {video_id for (video_id,) in await self._among(DELETED, absent)}

    async def load(self, rows: Sequence[Stored]) -> None:
        ids = [stored.row["id"] for stored in rows]
        there = await self.lives(ids)
        new = [stored for stored in rows if stored.row["id"] not in there]
        await asyncio.gather(*map(self._insert, new))
        now = await self.lives(ids) if new else there
        unfinished = [life for life in now.values() if not life.listed]
        entries = [entry for life in unfinished for entry in life.lines(life.genres)]
        await self.lines.put(entries)
        await asyncio.gather(*map(self._finish, unfinished))

    async def _insert(self, stored: Stored) -> None:
        at_us = _long_past(stored.created)
        await self._cassandra.execute(LOAD, (*values_of(stored), UNSET, at_us))

    async def _finish(self, life: Life) -> None:
        values = (_long_past(life.created), sorted(life.genres), life.video_id)
        await self._cassandra.execute(FINISH, values)

    async def lives(self, ids: Collection[str]) -> dict[str, Life]:
        """Return the existing rows by id; ``listed`` is empty for a row that is not finished."""
        return {
            video_id: Life(
                video_id, created, version, frozenset(genres or ()), frozenset(had or ())
            )
            for video_id, created, version, genres, had in await self._among(STATES, ids)
        }

    async def _among(self, cql: str, ids: Collection[str]) -> list[tuple[Any, ...]]:
        result = await self._cassandra.execute(cql, (list(ids),))
        return [row.as_tuple() for row in result.all()]


def _long_past(created: str) -> int:
    """Return a timestamp (us) below those of the API, even if ``created`` is in the future."""
    return min(version_us(created), time.time_ns() // 1_000 - LOADER_AGE_US)
