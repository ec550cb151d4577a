"""How far a command is: a line that changes in place on a terminal, a line now and then elsewhere.

A terminal's line ends in no line end, so every text for the same terminal has to pass ``say``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

EVERY_S = 5.0
TERMINAL_EVERY_S = 0.1


@dataclass
class Progress:
    """Shows how many ``unit`` are done, the rate and, if ``total`` is known, the time left.

    ``total`` may be in another unit, such as bytes of a file.
    """

    out: TextIO
    total: int | None
    unit: str = "rows"
    clock: Callable[[], float] = time.monotonic
    _line: str = ""

    def __post_init__(self) -> None:
        self._begun = self._shown = self.clock()
        self._is_terminal = self.out.isatty()

    def update(self, done: int, position: int) -> None:
        """Take the figures, with ``position`` in the unit of ``total``, and show them when due."""
        now = self.clock()
        elapsed_s = max(now - self._begun, 0.001)
        self._line = f"{done:,} {self.unit}, {done / elapsed_s:,.0f}/s"
        if self.total and position:
            left_s = elapsed_s * max(self.total - position, 0) / position
            self._line += f", {100 * position // self.total} %, {left_s:,.0f} s left"
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
        self.out.write(f"{erase}{text}{end}")
        self.out.flush()
