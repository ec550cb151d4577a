"""Makes the genre lists say what the rows say, after a crash between the two tables.

A line stands for a row that lives, has that genre, and was made at the line's ``created``. A line
of an earlier life of the row is dropped. At the end the list of genres is made to agree.

A first pass only reads. It adds up a hash of every line that is in the lists and subtracts that of
every line that should be, in one sum per group of ids: where a sum is not zero, something is wrong
in that group, and only such groups are looked at again. Memory is the sums, whatever the catalogue.
What changes meanwhile looks wrong at worst, and is then found to be right.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from array import array
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from db.catalog.patience import Patience
from db.store import CatalogueStore, Entry, Stored
from db.version import make_version, version_us

T = TypeVar("T")

GROUPS = 2**18
AT_ONCE = 64
SUSPECTS = 10_000
SETTLE_S = 15.0
"""How long a line without its row is left alone: a write that makes both may be under way."""


class Stopped(Exception):
    """Asked to stop; ``Repair.after`` is where to go on."""


class Repair:
    """``run`` mends every list. ``put`` lines were written again, ``dropped`` ones deleted.

    Raises Stopped, and what the store raises beyond patience; ``after`` is then the id to go on
    behind.
    """

    def __init__(
        self,
        store: CatalogueStore,
        patience: Patience,
        on_progress: Callable[[], None],
        settle_s: float = SETTLE_S,
    ):
        self.seen = 0
        self.rows = 0
        self.lines = 0
        self.put = 0
        self.dropped = 0
        self.after: str | None = None
        self._store = store
        self._patience = patience
        self._on_progress = on_progress
        self._settle_s = settle_s
        self._sums = array("Q", bytes(8 * GROUPS))
        self._genres: set[str] = set()

    async def run(self, after: str | None = None) -> None:
        self.after = after
        await self._compare()
        if any(self._sums):
            await self._put_lines()
            await self._drop_lines()
        await self._check_genres()

    async def _each(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        async for item in items:
            if self._patience.stop.is_set():
                raise Stopped
            yield item
            self.seen += 1
            if self.seen % 256 == 0:
                self._on_progress()

    async def _compare(self) -> None:
        async for entry in self._each(self._store.entries()):
            self.lines += 1
            self._genres.add(entry.genre)
            self._add(entry, 1)
        async for stored in self._each(self._store.scan()):
            self.rows += 1
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
        """Writes every line of a doubtful row: to ask first would cost as much as to write."""
        waiting: list[Entry] = []
        last = self.after
        async for stored in self._each(self._store.scan(self.after)):
            last = stored.row["id"]
            if self._is_doubtful(last):
                waiting += _lines(stored)
            if len(waiting) >= AT_ONCE:
                await self._flush(waiting)
            if not waiting:
                self.after = last
        await self._flush(waiting)
        self.after = last

    async def _flush(self, waiting: list[Entry]) -> None:
        await asyncio.gather(*(self._put(entry) for entry in waiting))
        self.put += len(waiting)
        self._genres.update(entry.genre for entry in waiting)
        waiting.clear()

    async def _put(self, entry: Entry) -> None:
        await self._patience(lambda: self._store.put_entry(entry))

    async def _drop_lines(self) -> None:
        """Looks twice at a line that nothing stands behind, some time apart, then deletes it."""
        suspects: deque[tuple[float, Entry]] = deque()
        waiting: list[Entry] = []
        async for entry in self._each(self._store.entries()):
            if self._is_doubtful(entry.video_id):
                waiting.append(entry)
            if len(waiting) >= AT_ONCE:
                suspects.extend(await self._orphans(waiting))
                await self._settle(suspects, SUSPECTS)
        suspects.extend(await self._orphans(waiting))
        await self._settle(suspects, 0)

    async def _orphans(self, waiting: list[Entry]) -> list[tuple[float, Entry]]:
        alone = await asyncio.gather(*(self._is_orphan(entry) for entry in waiting))
        now = time.monotonic()
        found = [(now, entry) for entry, is_alone in zip(waiting, alone, strict=True) if is_alone]
        waiting.clear()
        return found

    async def _settle(self, suspects: deque[tuple[float, Entry]], most: int) -> None:
        """Deals with the oldest suspects until at most ``most`` are left."""
        while len(suspects) > most:
            seen_at, entry = suspects.popleft()
            wait_s = seen_at + self._settle_s - time.monotonic()
            if wait_s > 0 and await self._patience.sleep(wait_s):
                raise Stopped
            if await self._is_orphan(entry):
                await self._drop(entry)
                self.dropped += 1

    async def _drop(self, entry: Entry) -> None:
        await self._patience(lambda: self._store.drop_entry(entry))

    async def _is_orphan(self, entry: Entry) -> bool:
        found = await self._patience(lambda: self._store.find(entry.video_id))
        return (
            found is None
            or found.created != entry.created
            or entry.genre not in found.row["genres"]
        )

    async def _check_genres(self) -> None:
        """Memory is a name per genre. Each is looked at after all lines are right."""
        named = await self._patience(self._store.genres)
        names = sorted(self._genres.union(named))
        for start in range(0, len(names), AT_ONCE):
            part = names[start : start + AT_ONCE]
            await self._patience(lambda part=part: self._store.check_genres(part))  # type: ignore[misc]


def _group(video_id: str) -> int:
    return int(video_id[-5:], 16) % GROUPS


def _lines(stored: Stored) -> list[Entry]:
    """The lines of a row, one microsecond younger than its version, which is older than any
    version to come. At equal times a deletion wins: a line that was dropped before its row was
    there, at the same version, could never be put back."""
    row, created, _ = stored
    node = uuid.UUID(row["lastupdated"]).bytes[8:]
    version = make_version(version_us(row["lastupdated"]) + 1, node)
    return [Entry(genre, created, row["id"], version) for genre in row["genres"]]
