"""The names of the genres that have lines: one partition of Cassandra, read in one query.

Names are added and removed by lightweight transactions, so their order is that of ballots and not
of clocks. A name may be removed while another writer adds a line to the genre. Each of the two
writes first and looks afterwards, so at least one of them sees the other's write:

    writer of a line                          remover of the name
    1. put the line (quorum)                  1. find no line
    2. read the name (quorum)                 2. delete the name
    3. insert the name if it is missing       3. look for a line again
                                              4. insert the name if there is a line

If 2 on the left misses the deletion, the line was there before 3 on the right. A genre that has
lines therefore has its name once both are done. A remover that dies between 2 and 4 may leave a
genre without its name, until the next line of the genre or ``python -m db.catalog repair``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from db.background import Background
from db.cassandra.session import Cassandra
from errors import ServiceError

logger = logging.getLogger("content")

NAMES_OF_GENRES = "SELECT name FROM genre WHERE shard = 0"
NAMES_AMONG = f"{NAMES_OF_GENRES} AND name IN ?"
ADD = "INSERT INTO genre (shard, name) VALUES (0, ?) IF NOT EXISTS"
REMOVE = "DELETE FROM genre WHERE shard = 0 AND name = ? IF EXISTS"
ANY_LINE = "SELECT id FROM video_by_genre WHERE genre = ? LIMIT 1"
STATEMENTS = (NAMES_OF_GENRES, NAMES_AMONG, ADD, REMOVE, ANY_LINE)

LOOK_AFTER_S = 2.0
"""A genre is looked at once in so many seconds at most. Each look passes over the tombstones of all
dropped lines, so one look per dropped line would be quadratic."""
AT_ONCE = 32
"""Transactions at a time. Cassandra gives up some of two hundred, if it is cold or busy."""
RETRY_S = 1.0
ATTEMPTS = 5
FROZEN_S = 15.0
"""A frozen node may run a removal after the client gave it up, when the genre has lines again.
Cassandra itself gives up a request after 12 s, so the last look comes after that."""


class GenreNames:
    """The names. Call ``appeared`` after lines were put, ``left`` after lines were dropped."""

    def __init__(self, cassandra: Cassandra, background: Background) -> None:
        self._cassandra = cassandra
        self._background = background
        self._to_look_at: set[str] = set()

    async def all(self) -> list[str]:
        result = await self._cassandra.execute(NAMES_OF_GENRES)
        return sorted(row.column_value_by_index(0) for row in result.all())

    async def appeared(self, genres: Collection[str]) -> None:
        """Insert the missing names of ``genres``. Raise the store's errors."""
        if genres:
            result = await self._cassandra.execute(NAMES_AMONG, (list(genres),))
            there = {row.column_value_by_index(0) for row in result.all()}
            missing = list(set(genres) - there)
            for start in range(0, len(missing), AT_ONCE):
                some = missing[start : start + AT_ONCE]
                await asyncio.gather(*(self._cassandra.execute(ADD, (name,)) for name in some))

    def left(self, genres: Collection[str]) -> None:
        """Check in LOOK_AFTER_S, in the background, whether these genres still have lines."""
        for genre in set(genres) - self._to_look_at:
            self._to_look_at.add(genre)
            self._background.spawn(self._look_later(genre))

    async def _look_later(self, genre: str) -> None:
        await self._background.pause(LOOK_AFTER_S)
        self._to_look_at.discard(genre)  # before the look: a line dropped later starts another
        if not await self._look(genre):
            await self._background.pause(FROZEN_S)
            await self._look(genre)

    async def _look(self, genre: str) -> bool:
        """Check ``genre`` until it succeeds, ATTEMPTS times at most. Return whether the first check
        succeeded, so that no removal was given up."""
        for attempt in range(ATTEMPTS):
            try:
                await self.check(genre)
                return attempt == 0
            except ServiceError as error:
                if attempt == ATTEMPTS - 1:
                    logger.warning("the list of genres may be wrong about %r: %s", genre, error)
            await self._background.pause(RETRY_S)
        return False

    async def check(self, genre: str) -> None:
        """Make the name agree with the lines of ``genre``. Raise the store's errors. Call again
        after an error, because the name may be missing then although the genre has lines."""
        if not await self._has_lines(genre):
            await self._cassandra.execute(REMOVE, (genre,))
        if await self._has_lines(genre):
            # without reading first, because ADD also finishes a removal that has begun
            await self._cassandra.execute(ADD, (genre,))

    async def _has_lines(self, genre: str) -> bool:
        found = await self._cassandra.execute(ANY_LINE, (genre,))
        return found.first() is not None
