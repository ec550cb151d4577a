"""Makes the genre lists agree with the rows, after a crash between the two tables.

A line belongs to a row that lives, has the line's genre, and was made at the line's ``created``.
A line of an earlier life of the row is dropped. At the end the list of genres is mended.

1. A first pass only reads. It adds up a hash of every line in the lists and subtracts a hash of
   every line that belongs to a row, in one sum for each group of ids. Memory is the sums.
2. Where a sum is not zero, a line is missing or one too many. Only these groups are looked at
   again: every line of their rows is written, because asking first would cost as much, and every
   line without a row is dropped.

A write between the passes may make a right group look wrong; the second look finds it right.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from array import array
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import compress
from typing import TypeVar

from db.catalog.patience import Patience
from db.store import Entry, RepairableStore, Stored
from db.version import make_version, version_us

T = TypeVar("T")

GROUPS = 2**18
AT_ONCE = 64
SUSPECTS = 10_000
SETTLE_S = 15.0
"""How long a line without its row is left alone, because a write of both may be under way."""


class Stopped(Exception):
    """Raised when the patience's ``stop`` is set; ``Repair.after`` says where to go on."""


@dataclass
class Repair:
    """``run`` mends every list. ``put`` lines were written again, ``dropped`` lines deleted.

    Raises Stopped, and errors of the store beyond patience. The next run may begin behind the id
    ``after`` then.
    """

    store: RepairableStore
    patience: Patience
    on_progress: Callable[[], None]
    settle_s: float = SETTLE_S
    seen: int = 0
    rows: int = 0
    lines: int = 0
    put: int = 0
    dropped: int = 0
    after: str | None = None
    _sums: array[int] = field(default_factory=lambda: array("Q", bytes(8 * GROUPS)))
    _genres: set[str] = field(default_factory=set)

    async def run(self, after: str | None = None) -> None:
        self.after = after
        await self._compare()
        if any(self._sums):
            await self._put_lines()
            await self._drop_lines()
        await self._check_genres()

    async def _parts(self, items: AsyncIterator[T]) -> AsyncIterator[list[T]]:
        """Yield ``items`` in lists of at most AT_ONCE."""
        part: list[T] = []
        async for item in items:
            if self.patience.stop.is_set():
                raise Stopped
            part.append(item)
            if len(part) == AT_ONCE:
                yield part
                self.seen += AT_ONCE
                self.on_progress()
                part = []
        yield part

    async def _compare(self) -> None:
        async for entries in self._parts(self.store.entries()):
            self.lines += len(entries)
            for entry in entries:
                self._genres.add(entry.genre)
                self._add(entry, 1)
        async for part in self._parts(self.store.scan()):
            self.rows += len(part)
            for stored in part:
                for line in _lines(stored):
                    self._add(line, -1)

    def _add(self, entry: Entry, times: int) -> None:
        text = f"{entry.genre}\0{entry.created}\0{entry.video_id}"
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        group = _group(entry.video_id)
        total = self._sums[group] + times * int.from_bytes(digest, "big")
        self._sums[group] = total & 0xFFFF_FFFF_FFFF_FFFF

    def _is_doubtful(self, video_id: str) -> bool:
        return self._sums[_group(video_id)] != 0

    async def _put_lines(self) -> None:
        """Write every line of every doubtful row."""
        async for part in self._parts(self.store.scan(self.after)):
            doubtful = [stored for stored in part if self._is_doubtful(stored.row["id"])]
            lines = [line for stored in doubtful for line in _lines(stored)]
            puts = (self.patience(partial(self.store.put_entry, line)) for line in lines)
            await asyncio.gather(*puts)
            self.put += len(lines)
            self._genres.update(line.genre for line in lines)
            self.after = part[-1].row["id"] if part else self.after

    async def _drop_lines(self) -> None:
        """Delete every doubtful line that is an orphan twice, ``settle_s`` apart."""
        suspects: list[Entry] = []
        async for part in self._parts(self.store.entries()):
            doubtful = [entry for entry in part if self._is_doubtful(entry.video_id)]
            suspects += compress(doubtful, await asyncio.gather(*map(self._is_orphan, doubtful)))
            if len(suspects) >= SUSPECTS:
                await self._drop_orphans(suspects)
                suspects.clear()
        await self._drop_orphans(suspects)

    async def _drop_orphans(self, suspects: list[Entry]) -> None:
        if suspects and await self.patience.sleep(self.settle_s):
            raise Stopped
        for entry in suspects:
            if await self._is_orphan(entry):
                await self.patience(partial(self.store.drop_entry, entry))
                self.dropped += 1

    async def _is_orphan(self, entry: Entry) -> bool:
        found = await self.patience(partial(self.store.find, entry.video_id))
        if found is None or found.created != entry.created:
            return True
        return entry.genre not in found.row["genres"]

    async def _check_genres(self) -> None:
        """Mend the list of genres, after all lines are right. Memory is a name per genre."""
        names = sorted(self._genres.union(await self.patience(self.store.genres)))
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            await self.patience(partial(self.store.check_genres, part))


def _group(video_id: str) -> int:
    return int(video_id[-5:], 16) % GROUPS


def _lines(stored: Stored) -> list[Entry]:
    """Return the lines of a row, a microsecond younger than its version and older than any
    version to come. At equal times a deletion wins, so a line that was dropped at the row's own
    version, before the row was there, could never be put back."""
    row, created, _ = stored
    node = uuid.UUID(row["lastupdated"]).bytes[8:]
    version = make_version(version_us(row["lastupdated"]) + 1, node)
    return [Entry(genre, created, row["id"], version) for genre in row["genres"]]
