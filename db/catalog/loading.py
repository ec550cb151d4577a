"""Rows into a store: batches, a few of them in flight, and no more in memory than those.

A run may be ended at any point and begun again: rows that are there are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import islice

from db.catalog.patience import Patience
from db.catalog.reading import Bad, Item
from db.store import CatalogueStore, Stored

BATCH_ROWS = 100
BATCHES = 8


class Loader:
    """Loads every row of ``items`` and hands every Bad to ``on_bad``.

    ``added``, ``there`` and ``malformed`` count what was done with the items so far. Of two rows
    with one id the first is added, also when both are in flight: two loads of a row at once would
    leave it to the store which one stays.
    """

    def __init__(
        self,
        store: CatalogueStore,
        patience: Patience,
        on_bad: Callable[[Bad], None],
        on_progress: Callable[[], None],
    ):
        self.added = 0
        self.there = 0
        self.malformed = 0
        self._store = store
        self._patience = patience
        self._on_bad = on_bad
        self._on_progress = on_progress
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids: set[str] = set()

    @property
    def done(self) -> int:
        return self.added + self.there + self.malformed

    async def run(self, items: Iterator[Item]) -> None:
        """Ends early when the patience's ``stop`` is set. Raises what reading raises, and what the
        store raises beyond patience; what is in flight is finished in any case."""
        try:
            while not self._patience.stop.is_set():
                drawn = list(islice(items, BATCH_ROWS))
                if not drawn:
                    break
                if batch := await self._new(self._sort(drawn)):
                    self._tasks.add(asyncio.create_task(self._load(batch)))
                await self._wait(BATCHES - 1)
                self._on_progress()
            await self._wait(0)
        finally:
            if self._tasks:
                self._patience.stop.set()
                await asyncio.gather(*self._tasks, return_exceptions=True)
            self._on_progress()

    def _sort(self, drawn: list[Item]) -> list[Stored]:
        """The rows to load; the others are counted here."""
        batch = []
        for item in drawn:
            if isinstance(item, Bad):
                self.malformed += 1
                self._on_bad(item)
            elif item.row["id"] in self._ids:
                self.there += 1
            else:
                self._ids.add(item.row["id"])
                batch.append(item)
        return batch

    async def _new(self, batch: list[Stored]) -> list[Stored]:
        """Return the rows that the store does not know; count the others.

        Asked once, before the first load of a batch: a load that is repeated after a lost answer
        then counts its rows as added. Awaited before more is read, because reading may block.
        """
        ids = {stored.row["id"] for stored in batch}
        known = await self._patience(lambda: self._store.known(ids))
        self.there += len(known)
        self._ids -= known
        return [stored for stored in batch if stored.row["id"] not in known]

    async def _load(self, batch: list[Stored]) -> None:
        await self._patience(lambda: self._store.load(batch))
        self.added += len(batch)
        self._ids.difference_update(stored.row["id"] for stored in batch)

    async def _wait(self, most: int) -> None:
        """Until at most ``most`` batches are in flight. Raises what one of them has raised."""
        await asyncio.sleep(0)
        while len(self._tasks) > most:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in self._tasks if task.done()]:
                self._tasks.remove(task)
                task.result()
