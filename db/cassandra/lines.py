"""The lines of the genre lists, each of which belongs to one life of a row.

A life begins when a row is made and ends when it is deleted; ``created`` names it. The row's hidden
column ``listed`` has every genre for which this life may have lines. So every write can make all
lines of the life agree with the row, also if an earlier writer died before its lines.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import NamedTuple

from db.background import Background
from db.cassandra.genres import GenreNames
from db.cassandra.session import Cassandra
from db.store import Entry
from db.version import version_ahead, version_us
from errors import ServiceError

logger = logging.getLogger("content")

PUT = (
    "INSERT INTO video_by_genre (genre, created, id, version) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
)
DROP = "DELETE FROM video_by_genre USING TIMESTAMP ? WHERE genre = ? AND created = ? AND id = ?"
STATEMENTS = (PUT, DROP)

RETRY_S, RETRY_MAX_S = 0.5, 10.0


class Life(NamedTuple):
    """The lines of one life of a row: one in each of ``genres``, none in the rest of ``listed``.
    ``version`` is the row version that requires this; its microseconds are their timestamp."""

    video_id: str
    created: str
    version: str
    genres: frozenset[str]
    listed: frozenset[str]

    def ended(self) -> Life:
        """Return the life after its end. No line of it can be right any more, so all are dropped
        at a time that is later than a line by any other replica, whose clock may be ahead."""
        listed = self.listed | self.genres
        return self._replace(version=version_ahead(), genres=frozenset(), listed=listed)

    def lines(self, genres: Iterable[str]) -> list[Entry]:
        return [Entry(genre, self.created, self.video_id, self.version) for genre in genres]


class Lines:
    """The writer of lines, which makes the genre lists agree with the rows."""

    def __init__(self, cassandra: Cassandra, background: Background) -> None:
        self._cassandra = cassandra
        self._background = background
        self.names = GenreNames(cassandra, background)
        self._late: dict[tuple[str, str], Life] = {}

    async def follow(self, life: Life) -> None:
        """Put and drop the lines of ``life``; if the store fails, do so later in the background.
        The row is written already, so a late list is no failure of the write."""
        try:
            await self.write(life)
        except ServiceError as error:
            logger.warning("the lists of %s are late: %s", life.video_id, error)
            self._follow_later(life)

    def _follow_later(self, life: Life) -> None:
        key = life.video_id, life.created
        waiting = self._late.get(key)
        if waiting is None:
            self._background.spawn(self._catch_up(key))
        self._late[key] = life if waiting is None else _joined(waiting, life)

    async def _catch_up(self, key: tuple[str, str]) -> None:
        """Write the late lines of one life, after pauses that grow while this fails."""
        pause_s = RETRY_S
        while key in self._late:
            await self._background.pause(pause_s * random.uniform(0.7, 1.0))
            life = self._late[key]
            try:
                await self.write(life)
            except ServiceError:
                pause_s = min(2 * pause_s, RETRY_MAX_S)
                continue
            if self._late[key] is life:
                del self._late[key]

    async def write(self, life: Life) -> None:
        """Put and drop the lines of ``life`` now. Raise the store's errors."""
        gone = life.listed - life.genres
        await self.drop(life.lines(gone))
        await self.put(life.lines(life.genres))

    async def put(self, entries: Collection[Entry]) -> None:
        await _all(self._put, entries)
        await self.names.appeared({entry.genre for entry in entries})

    async def drop(self, entries: Collection[Entry]) -> None:
        await _all(self._drop, entries)
        self.names.left({entry.genre for entry in entries})

    async def _put(self, entry: Entry) -> None:
        await self._cassandra.execute(PUT, (*entry, version_us(entry.version)))

    async def _drop(self, entry: Entry) -> None:
        genre, created, video_id, version = entry
        await self._cassandra.execute(DROP, (version_us(version), genre, created, video_id))


def _joined(one: Life, other: Life) -> Life:
    """Return the newer of two states of one life, extended to drop the lines of the older, too."""
    newer = max(one, other, key=lambda life: version_us(life.version))
    return newer._replace(listed=one.listed | other.listed | one.genres | other.genres)


async def _all(write: Callable[[Entry], Awaitable[None]], entries: Collection[Entry]) -> None:
    """Write all entries, even if some fail. Then raise the first failure."""
    for done in await asyncio.gather(*map(write, entries), return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
