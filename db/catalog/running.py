"""How a command runs: it waits out outages of the store, and shows its progress.

A terminal's progress is a line that changes in place and ends in no line end. So every text for the
same terminal has to pass ``Progress.say``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO, TypeVar

from errors import Late, ServiceError, Unavailable

T = TypeVar("T")

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, *[8.0] * 14)
"""Two minutes in all, in which a cold Cassandra comes up."""
TOLD_S = 1.0
"""A pause of this length or longer is told to the user."""
ON_TERMINAL, ELSEWHERE = (0.1, "\r\x1b[K", ""), (5.0, "", "\n")
"""How often progress is shown (seconds), and the texts before and behind it."""


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
