"""An embedded store under conditions that a healthy one does not show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from db.catalog.patience import Patience
from db.embedded import EmbeddedStore
from db.store import CatalogueStore, Entry, Stored
from errors import Unavailable


class StrainedStore(EmbeddedStore):
    """Fails the next ``failures`` loads after they were done, as a lost answer does, and counts
    the loads. Keeps the writes of single lines."""

    def __init__(self, path: Path):
        super().__init__(str(path))
        self.failures = 0
        self.loads = 0
        self.writes: list[Entry] = []

    async def load(self, rows: Sequence[Stored]) -> None:
        self.loads += 1
        await super().load(rows)
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("The store is away; try again")

    async def put_entry(self, entry: Entry) -> None:
        self.writes.append(entry)
        await super().put_entry(entry)

    async def drop_entry(self, entry: Entry) -> None:
        self.writes.append(entry)
        await super().drop_entry(entry)


class NullStore(EmbeddedStore):
    """Takes every row and keeps none."""

    async def known(self, ids: Collection[str]) -> set[str]:
        return set()

    async def load(self, rows: Sequence[Stored]) -> None:
        await asyncio.sleep(0)


def patience(attempts: int = 9) -> Patience:
    """Tries as often as the real one, and hardly waits."""
    return Patience(asyncio.Event(), [0.0001] * (attempts - 1))


async def contents(store: CatalogueStore) -> tuple[list[Stored], list[Entry]]:
    """Everything that a store holds."""
    return [row async for row in store.scan()], [line async for line in store.entries()]


async def strained(path: Path) -> AsyncIterator[StrainedStore]:
    store = StrainedStore(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
