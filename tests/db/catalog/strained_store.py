"""An embedded store under conditions that a healthy one does not show."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

from config import Config
from db.catalog.running import Patience
from db.embedded import EmbeddedStore
from db.store import Stored
from errors import Unavailable
from tests.db.store_lines import Line, lines, rows_of


class StrainedStore(EmbeddedStore):
    """Fails the next ``failures`` loads after they were done, as a lost answer does, and counts
    the loads."""

    def __init__(self, path: Path):
        super().__init__(str(path))
        self.path = path
        self.failures = 0
        self.loads = 0

    async def load(self, rows: Sequence[Stored]) -> None:
        self.loads += 1
        await super().load(rows)
        if self.failures > 0:
            self.failures -= 1
            raise Unavailable("The store is away; try again")


class NullStore(EmbeddedStore):
    """Takes every row and keeps none."""

    async def known(self, ids: Collection[str]) -> set[str]:
        return set()

    async def load(self, rows: Sequence[Stored]) -> None:
        await asyncio.sleep(0)


def patience(attempts: int = 9) -> Patience:
    """Tries as often as the real one, and hardly waits."""
    return Patience([0.0001] * (attempts - 1))


async def contents(store: StrainedStore) -> tuple[list[Stored], list[Line]]:
    """Everything that a store holds."""
    config = Config(embedded_path=str(store.path))
    return await rows_of(store, config), sorted(await lines(store, config))


async def strained(path: Path) -> AsyncIterator[StrainedStore]:
    store = StrainedStore(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
