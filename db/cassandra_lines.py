"""The lines of the genre lists, each of which belongs to one life of a row.

A life begins when a row is made and ends when it is deleted; ``created`` names it. The row's hidden
column ``listed`` has every genre for which this life may have lines, so every write can bring all
lines of the life up to the row, and makes good what an earlier writer left undone when it died.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import NamedTuple

from db.background import Background
from db.cassandra import Cassandra
from db.cassandra_genres import GenreNames
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
    """One life of a row: ``genres`` have a line, all others of ``listed`` have none. ``version``
    is the row version that says so, and its microseconds are the timestamp of the lines."""

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
    """Brings the lists up to the rows."""

    def __init__(self, cassandra: Cassandra, background: Background) -> None:
        self._cassandra = cassandra
        self._background = background
        self.names = GenreNames(cassandra, background)
        self._late: dict[tuple[str, str], Life] = {}

    async def follow(self, life: Life) -> None:
        """Put and drop the lines of ``life``. The row is written, so a list that cannot follow at
        once is no failure of the write: it follows in the background."""
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
        """Write the late lines of one life. The pauses grow while that fails."""
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
        """As ``follow``, but raise what the store raises."""
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
    """Return the newer of two states of one life, which drops the lines of the older as well."""
    newer = max(one, other, key=lambda life: version_us(life.version))
    return newer._replace(listed=one.listed | other.listed | one.genres | other.genres)


async def _all(write: Callable[[Entry], Awaitable[None]], entries: Collection[Entry]) -> None:
    """Write all, also beside one that fails; then raise the first failure."""
    for done in await asyncio.gather(*map(write, entries), return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
