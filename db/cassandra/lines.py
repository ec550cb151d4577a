"""The lines of the genre lists, and the names of the genres that have lines.

A line belongs to one life of a row. A life begins when a row is made and ends when it is deleted;
``created`` names it. The row's hidden column ``listed`` has every genre for which this life may
have lines. So every write can make all lines of the life agree with the row, also if an earlier
writer died before its lines.

The names are one partition, read in one query. They are added and removed by lightweight
transactions, so their order is that of ballots and not of clocks. A name may be removed while
another writer adds a line to the genre. Each of the two writes first and looks afterwards, so at
least one of them sees the other's write:

    writer of a line                          remover of the name
    1. put the line (quorum)                  1. find no line
    2. read the name (quorum)                 2. delete the name
    3. insert the name if it is missing       3. look for a line again
                                              4. insert the name if there is a line

If 2 on the left misses the deletion, the line was there before 3 on the right. A genre that has
lines therefore has its name once both are done. A remover that dies between 2 and 4 may leave a
genre without its name, until the next line of the genre or ``python -m db.catalog repair``.
"""

import logging
import random
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import NamedTuple, Self

from db.background import Background
from db.cassandra.session import Cassandra
from db.cassandra.statements import rows_in
from db.store import Entry, Stored
from db.version import version_ahead, version_us
from errors import ServiceError

logger = logging.getLogger("content")

RETRY_S, RETRY_MAX_S = 0.5, 10.0
AT_ONCE = 32
"""Transactions at a time. Cassandra gives up some of two hundred, if it is cold or busy."""
LOOK_AFTER_S = 2.0
"""A genre is looked at once in so many seconds at most. Each look passes over the tombstones of all
dropped lines, so one look per dropped line would be quadratic."""
LOOK_AGAIN_S = 1.0, 1.0, 1.0, 1.0, 15.0
"""The pauses before further looks after a failed one. A frozen node may run a removal after the
client gave it up, when the genre has lines again. Cassandra itself gives up a request after 12 s,
so the last look comes after that."""


class Life(NamedTuple):
    """The lines of one life of a row: one in each of ``genres``, none in the rest of ``listed``.

    ``version`` is the row version that requires this; its microseconds are their timestamp.
    """

    video_id: str
    created: str
    version: str
    genres: frozenset[str]
    listed: frozenset[str]

    @classmethod
    def of(cls, stored: Stored) -> Self:
        row, genres = stored.row, frozenset(stored.row["genres"])
        listed = genres | set(stored.listed or ())
        return cls(row["id"], stored.created, row["lastupdated"], genres, listed)

    def ended(self) -> Self:
        """Return the life after its end.

        No line of it can be right any more, so all are dropped at a time that is later than a line
        by any other replica, whose clock may be ahead, and than this life's own version.
        """
        listed = self.listed | self.genres
        return self._replace(version=version_ahead(self.version), genres=frozenset(), listed=listed)

    def lines(self, genres: Iterable[str]) -> list[Entry]:
        return [Entry(genre, self.created, self.video_id, self.version) for genre in genres]


class Lines:
    """The writer of lines and names, which makes the genre lists agree with the rows."""

    def __init__(self, cassandra: Cassandra, background: Background) -> None:
        self._cassandra = cassandra
        self._background = background
        self._to_look_at: set[str] = set()

    async def follow(self, life: Life) -> None:
        """Put and drop the lines of ``life``; if the store fails, do so later in the background.

        The row is written already, so a late list is no failure of the write.
        """
        try:
            await self.write(life)
        except ServiceError as error:
            logger.warning("the lists of %s are late: %s", life.video_id, error)
            self._background.spawn(self._follow_later(life))

    async def _follow_later(self, life: Life) -> None:
        """Write the lines of ``life`` after pauses that grow while this fails.

        Meanwhile a later write of the row may put its lines, which these do not undo: their
        timestamp is older.
        """
        pause_s = RETRY_S
        while True:
            await self._background.pause(pause_s * random.uniform(0.7, 1.0))
            with suppress(ServiceError):
                return await self.write(life)
            pause_s = min(2 * pause_s, RETRY_MAX_S)

    async def write(self, life: Life) -> None:
        """Put and drop the lines of ``life`` now. Raise the store's errors."""
        gone = life.listed - life.genres
        await self.drop(life.lines(gone))
        await self.put(life.lines(life.genres))

    async def put(self, entries: Collection[Entry]) -> None:
        """Put the lines with their versions' timestamps, and name their genres."""
        values = [(*entry, version_us(entry.version)) for entry in entries]
        await self._cassandra.execute_all("put_line", values)
        await self._name({entry.genre for entry in entries})

    async def drop(self, entries: Collection[Entry]) -> None:
        """Drop the lines with their versions' timestamps.

        A later write of a line survives; a write of the same microsecond does not. Check in
        LOOK_AFTER_S whether their genres still have lines.
        """
        values = [
            (version_us(version), genre, created, video_id)
            for genre, created, video_id, version in entries
        ]
        await self._cassandra.execute_all("drop_line", values)
        for genre in {entry.genre for entry in entries} - self._to_look_at:
            self._to_look_at.add(genre)
            self._background.spawn(self._look_later(genre))

    async def _name(self, genres: set[str]) -> None:
        """Insert the missing names of ``genres``. Raise the store's errors."""
        if genres:
            result = await self._cassandra.execute("genres_among", (list(genres),))
            missing = list(genres - {name for (name,) in rows_in(result)})
            for start in range(0, len(missing), AT_ONCE):
                some = missing[start : start + AT_ONCE]
                await self._cassandra.execute_all("add_genre", [(name,) for name in some])

    async def _look_later(self, genre: str) -> None:
        await self._background.pause(LOOK_AFTER_S)
        self._to_look_at.discard(genre)  # before the look: a line dropped later starts another
        if not await self._look(genre):
            for pause_s in LOOK_AGAIN_S:
                await self._background.pause(pause_s)
                await self._look(genre)

    async def _look(self, genre: str) -> bool:
        """Check ``genre``. Return whether this succeeded, so that no removal was given up."""
        try:
            await self.check(genre)
        except ServiceError as error:
            logger.warning("the list of genres may be wrong about %r: %s", genre, error)
            return False
        return True

    async def check(self, genre: str) -> None:
        """Make the name agree with the lines of ``genre``.

        Raise the store's errors. Call again after an error, because the name may be missing then
        although the genre has lines.
        """
        if not await self._has_lines(genre):
            await self._cassandra.execute("remove_genre", (genre,))
        if await self._has_lines(genre):
            # without reading first, because ``add_genre`` also finishes a removal that has begun
            await self._cassandra.execute("add_genre", (genre,))

    async def _has_lines(self, genre: str) -> bool:
        found = await self._cassandra.execute("any_line", (genre,))
        return found.first() is not None
