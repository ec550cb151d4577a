"""How a command runs: it waits out outages of the store, and shows its progress.

A terminal's progress is a line that changes in place and ends in no line end. So every text for the
same terminal has to pass ``Progress.say``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TextIO, TypeVar

from errors import Late, ServiceError, Unavailable

T = TypeVar("T")

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, *[8.0] * 14)
"""Two minutes in all, in which a cold Cassandra comes up."""
TOLD_S = 1.0
"""A pause of this length or longer is told to the user."""
EVERY_S = 5.0
TERMINAL_EVERY_S = 0.1


class Patience:
    """Repeats a call after Unavailable and Late. The call has to be idempotent.

    ``pauses_s`` are the pauses in between. ``on_wait`` gets the failure before each longer pause.
    """

    def __init__(
        self,
        pauses_s: Sequence[float] = PAUSES_S,
        on_wait: Callable[[ServiceError], None] = lambda failure: None,
    ) -> None:
        self._pauses_s, self._on_wait = pauses_s, on_wait

    async def __call__(self, call: Callable[..., Awaitable[T]], *values: Any) -> T:
        for pause_s in self._pauses_s:
            try:
                return await call(*values)
            except (Unavailable, Late) as error:
                if pause_s >= TOLD_S:
                    self._on_wait(error)
            await asyncio.sleep(pause_s)
        return await call(*values)


class Progress:
    """Shows how many rows are done, the rate and, if that is known, the time left."""

    def __init__(self, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._out, self._clock = out, clock
        self._begun = self._shown = clock()
        self._is_terminal = out.isatty()
        self._line = ""

    def update(self, done: int, share: float = 0.0) -> None:
        """Take the number of rows that are done, and their share of all rows. Show it when due."""
        now = self._clock()
        elapsed_s = max(now - self._begun, 0.001)
        self._line = f"{done:,} rows, {done / elapsed_s:,.0f}/s"
        if share:
            left_s = elapsed_s * max(1 - share, 0) / share
            self._line += f", {100 * share:.0f} %, {left_s:,.0f} s left"
        if now - self._shown >= (TERMINAL_EVERY_S if self._is_terminal else EVERY_S):
            self._shown = now
            self._write(self._line, "" if self._is_terminal else "\n")

    def say(self, text: str) -> None:
        """Write a line of text, above the progress."""
        self._write(text, "\n")

    def close(self) -> None:
        """Leave the last figures on a terminal."""
        if self._is_terminal and self._line:
            self._write(self._line, "\n")
            self._line = ""

    def _write(self, text: str, end: str) -> None:
        erase = "\r\x1b[K" if self._is_terminal else ""
        self._out.write(f"{erase}{text}{end}")
        self._out.flush()
