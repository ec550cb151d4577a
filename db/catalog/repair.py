"""Makes the genre lists agree with the rows, after a crash between the two tables.

A line belongs to a row that lives, has the line's genre, and was made at the line's ``created``.
Any other line is an orphan, such as a line of an earlier life of the row.

1. Put every line of every row, because asking first whether it is there would cost as much.
2. Look up the row of every line, and drop the orphans.
3. Make the list of genres agree with the lines.

A line carries the timestamp of its row's version. So a line that is put here loses against a
write of the API between the look and the put.
"""

import asyncio
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from db.catalog.running import Patience, Progress
from db.store import Entry
from db.version import make_version, version_us

if TYPE_CHECKING:
    from db.cassandra.lines import Life
    from db.cassandra.store import CassandraStore

AT_ONCE = 64
SETTLE_S = 15.0
"""How long an orphan is left alone, because a write of line and row may be under way."""


@dataclass
class Repair:
    """``run`` mends every list. ``put`` lines were written, ``dropped`` lines deleted.

    Memory is the orphans and a name per genre. A run begins behind the id ``after``. If it ends
    early, the next run may begin behind ``after`` as it is then.
    """

    store: "CassandraStore"
    patience: Patience
    out: Progress
    settle_s: float = SETTLE_S
    after: str | None = None
    rows: int = 0
    lines: int = 0
    put: int = 0
    dropped: int = 0

    @property
    def again(self) -> str:
        after = f" --after {self.after}" if self.after else ""
        return f"python -m db.catalog repair{after}"

    def __str__(self) -> str:
        read = f"read {self.rows:,} rows and {self.lines:,} lines of lists"
        return f"{read}; wrote {self.put:,}, dropped {self.dropped:,}"

    async def run(self) -> None:
        """Put, drop and mend as above. Raise errors of the store beyond patience."""
        genres = set(await self.patience(self.store.genres))
        while ids := await self.patience(self.store.ids, self.after, AT_ONCE):
            lives = await self.patience(self.store.lives, ids)
            lines = [line for life in lives.values() for line in _lines(life)]
            await self.patience(self.store.lines.put, lines)
            self.rows += len(lives)
            self.put += len(lines)
            self.after = ids[-1]
            self.out.update(self.rows)
        orphans: list[Entry] = []
        async for entries in self.store.entries():
            genres.update(entry.genre for entry in entries)
            orphans += await self._orphans(entries)
            self.lines += len(entries)
            self.out.update(self.rows + self.lines)
        await self._drop(orphans)
        for genre in sorted(genres):
            await self.patience(self.store.lines.check, genre)

    async def _drop(self, orphans: list[Entry]) -> None:
        """Drop the lines that are still orphans after ``settle_s``."""
        if orphans:
            await asyncio.sleep(self.settle_s)
        for start in range(0, len(orphans), AT_ONCE):
            still = await self._orphans(orphans[start : start + AT_ONCE])
            await self.patience(self.store.lines.drop, still)
            self.dropped += len(still)

    async def _orphans(self, entries: list[Entry]) -> list[Entry]:
        """Return the lines that are no line of a row as it is now."""
        lives = await self.patience(self.store.lives, {entry.video_id for entry in entries})
        right = {line[:3] for life in lives.values() for line in life.lines(life.genres)}
        return [entry for entry in entries if entry[:3] not in right]


def _lines(life: "Life") -> list[Entry]:
    """Return the lines of a row, a microsecond younger than its version.

    They are older than any version to come. At equal times a deletion wins, so a line that was
    dropped at the row's own version, before the row was there, could never be put back.
    """
    node = uuid.UUID(life.version).bytes[8:]
    version = make_version(version_us(life.version) + 1, node)
    return life._replace(version=version).lines(life.genres)
