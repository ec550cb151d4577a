"""How a command runs: it loads rows, waits out outages of the store, and shows its progress.

A terminal's progress is a line that changes in place and ends in no line end. So every text for the
same terminal has to pass ``Progress.say``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO, TypeVar

from db.catalog.reading import Item
from db.store import CatalogueStore, Stored
from errors import Late, ServiceError, Unavailable

T = TypeVar("T")

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, *[8.0] * 14)
"""Two minutes in all, in which a cold Cassandra comes up."""
TOLD_S = 1.0
"""A pause of this length or longer is told to the user."""
ON_TERMINAL, ELSEWHERE = (0.1, "\r\x1b[K", ""), (5.0, "", "\n")
"""How often progress is shown (seconds), and the texts before and behind it."""
BATCH_ROWS = 200
"""A store writes the rows of a batch at once; the next batch waits, to be read and written."""
SHOWN = 20
"""How many malformed records are named; the others are only counted."""


@dataclass
class Patience:
    """Repeats a call after Unavailable and Late. The call has to be idempotent.

    ``pauses_s`` are the pauses in between. ``on_wait`` gets the failure before each longer pause.
    """

    pauses_s: Sequence[float] = PAUSES_S
    on_wait: Callable[[ServiceError], None] = lambda failure: None

    async def __call__(self, call: Callable[..., Awaitable[T]], *values: Any) -> T:
        for pause_s in self.pauses_s:
            try:
                return await call(*values)
            except (Unavailable, Late) as error:
                if pause_s >= TOLD_S:
                    self.on_wait(error)
            await asyncio.sleep(pause_s)
        return await call(*values)


class Progress:
    """Shows how many rows are done, the rate and, if that is known, the time left."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._begun = self._shown = clock()
        self._line = ""
        self._every_s, self._erase, self._end = ON_TERMINAL if out.isatty() else ELSEWHERE

    def update(self, done: int, share: float = 0.0) -> None:
        """Take the number of rows that are done, and their share of all rows. Show it when due."""
        now = self._clock()
        elapsed_s = max(now - self._begun, 0.001)
        self._line = f"{done:,} rows, {done / elapsed_s:,.0f}/s"
        if share:
            left_s = elapsed_s * max(1 - share, 0) / share
            self._line += f", {100 * share:.0f} %, {left_s:,.0f} s left"
        if now - self._shown >= self._every_s:
            self._shown = now
            self.say(self._line, self._end)

    def say(self, text: str, end: str = "\n") -> None:
        """Write a line of text, above the progress."""
        print(f"{self._erase}{text}", end=end, file=self._out, flush=True)

    def close(self) -> None:
        """Leave the last figures on a terminal."""
        if self._erase and self._line:
            self.say(self._line)
            self._line = ""


@dataclass
class Loader:
    """Loads rows into a store, batch by batch, and names the malformed records.

    Memory holds one batch. A run may be stopped at any point and repeated, because rows that are
    there are passed over.

    ``added``, ``there`` and ``malformed`` count the items so far. Of two rows with one id the
    first is added.
    """

    store: CatalogueStore
    patience: Patience
    out: Progress
    added: int = 0
    there: int = 0
    malformed: int = 0

    def __str__(self) -> str:
        counts = f"added {self.added:,}, already there {self.there:,}"
        return f"{counts}, malformed {self.malformed:,}"

    async def run(self, items: Iterator[Item], share: Callable[[int], float]) -> None:
        """Load until the end. ``share`` returns which share of all items a number of items is.

        It returns 0 if that is not known. Raise errors of ``items`` and, beyond patience, of the
        store.
        """
        while drawn := list(islice(items, BATCH_ROWS)):
            self._tell([item for item in drawn if isinstance(item, str)])
            await self._load([item for item in drawn if not isinstance(item, str)])
            done = self.added + self.there + self.malformed
            self.out.update(done, share(done))
        if self.malformed > SHOWN:
            self.out.say(f"... and {self.malformed - SHOWN:,} more malformed lines")

    async def _load(self, rows: list[Stored]) -> None:
        """Load the rows that the store does not know.

        The store is asked once, before the first load: a load that is repeated after a lost answer
        then counts its rows as added.
        """
        # reversed, so that the first row of an id stays
        batch = {stored.row["id"]: stored for stored in reversed(rows)}
        known = await self.patience(self.store.known, batch.keys())
        new = [stored for video_id, stored in batch.items() if video_id not in known]
        if new:
            await self.patience(self.store.load, new)
        self.added += len(new)
        self.there += len(rows) - len(new)

    def _tell(self, complaints: list[str]) -> None:
        for text in complaints[: max(0, SHOWN - self.malformed)]:
            self.out.say(text)
        self.malformed += len(complaints)
