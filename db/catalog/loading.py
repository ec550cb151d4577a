"""Rows into a store, in batches of which a few are in flight. Memory holds no other rows.

A run may be stopped at any point and repeated, because rows that are there are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from db.catalog.patience import Patience
from db.catalog.reading import Bad, Item
from db.store import CatalogueStore, Stored

BATCH_ROWS = 100
BATCHES = 8


@dataclass
class Loader:
    """Loads every row of ``items``, and hands every Bad to ``on_bad``.

    ``added``, ``there`` and ``malformed`` count the items so far. Of two rows with one id the
    first is added, also while both are in flight: two loads of a row at once would leave it to
    the store which row stays.
    """

    store: CatalogueStore
    patience: Patience
    on_bad: Callable[[Bad], None]
    on_progress: Callable[[], None]
    added: int = 0
    there: int = 0
    malformed: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _ids: set[str] = field(default_factory=set)

    @property
    def done(self) -> int:
        return self.added + self.there + self.malformed

    async def run(self, items: Iterator[Item]) -> None:
        """Load until the end, or until ``stop`` of the patience is set. Raise errors of ``items``
        and, beyond patience, of the store. Batches in flight are finished in any case."""
        try:
            while not self.patience.stop.is_set() and (drawn := list(islice(items, BATCH_ROWS))):
                if batch := await self._new(self._sort(drawn)):
                    self._tasks.add(asyncio.create_task(self._load(batch)))
                await self._wait(BATCHES - 1)
                self.on_progress()
            await self._wait(0)
        finally:
            if self._tasks:
                self.patience.stop.set()
                await asyncio.gather(*self._tasks, return_exceptions=True)
            self.on_progress()

    def _sort(self, drawn: list[Item]) -> list[Stored]:
        """Return the rows to load, and count the other items."""
        batch = []
        for item in drawn:
            if isinstance(item, Bad):
                self.malformed += 1
                self.on_bad(item)
            elif item.row["id"] in self._ids:
                self.there += 1
            else:
                self._ids.add(item.row["id"])
                batch.append(item)
        return batch

    async def _new(self, batch: list[Stored]) -> list[Stored]:
        """Return the rows that the store does not know, and count the other rows.

        The store is asked once, before the first load of a batch: a load that is repeated after
        a lost answer then counts its rows as added. The answer is awaited before more is read,
        because reading may block.
        """
        known = await self.patience(
            partial(self.store.known, {stored.row["id"] for stored in batch})
        )
        self.there += len(known)
        self._ids -= known
        return [stored for stored in batch if stored.row["id"] not in known]

    async def _load(self, batch: list[Stored]) -> None:
        await self.patience(partial(self.store.load, batch))
        self.added += len(batch)
        self._ids.difference_update(stored.row["id"] for stored in batch)

    async def _wait(self, most: int) -> None:
        """Wait until at most ``most`` batches are in flight. Raise the error of a batch."""
        await asyncio.sleep(0)  # a new batch starts before reading may block
        while len(self._tasks) > most:
            done, self._tasks = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.gather(*done)
