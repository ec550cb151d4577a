"""Rows into a store, batch by batch. Memory holds the rows of one batch.

A run may be stopped at any point and repeated, because rows that are there are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice

from db.catalog.patience import Patience
from db.catalog.reading import Bad, Item
from db.store import CatalogueStore, Stored

BATCH_ROWS = 200
"""A store writes the rows of a batch at once; the next batch waits, to be read and written."""


@dataclass
class Loader:
    """Loads every row of ``items``, and hands every Bad to ``on_bad``.

    ``added``, ``there`` and ``malformed`` count the items so far. Of two rows with one id the
    first is added.
    """

    store: CatalogueStore
    patience: Patience
    on_bad: Callable[[Bad], None]
    on_progress: Callable[[], None]
    added: int = 0
    there: int = 0
    malformed: int = 0

    @property
    def done(self) -> int:
        return self.added + self.there + self.malformed

    async def run(self, items: Iterator[Item]) -> None:
        """Load until the end, or until ``stop`` of the patience is set. Raise errors of ``items``
        and, beyond patience, of the store."""
        while not self.patience.stop.is_set() and (drawn := list(islice(items, BATCH_ROWS))):
            await self._load(self._rows(drawn))
            self.on_progress()

    def _rows(self, drawn: list[Item]) -> dict[str, Stored]:
        """Return the rows by id, and count the other items."""
        batch: dict[str, Stored] = {}
        for item in drawn:
            if isinstance(item, Bad):
                self.malformed += 1
                self.on_bad(item)
            elif batch.setdefault(item.row["id"], item) is not item:
                self.there += 1
        return batch

    async def _load(self, batch: dict[str, Stored]) -> None:
        """Load the rows that the store does not know. The store is asked once, before the first
        load: a load that is repeated after a lost answer then counts its rows as added."""
        known = await self.patience(partial(self.store.known, batch.keys()))
        new = [stored for video_id, stored in batch.items() if video_id not in known]
        if new:
            await self.patience(partial(self.store.load, new))
        self.there += len(known)
        self.added += len(new)
