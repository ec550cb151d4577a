"""How far a command has got: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

EVERY_S = 5.0
_BAR = "{percentage:3.0f}% {bar}{postfix}, {remaining} left"
_NO_BAR = "{elapsed}{postfix}"


class Progress:
    """Shows how many, how many a second and, where ``total`` is known, the time that is left.

    ``unit`` names what is counted. ``total`` and the ``position`` of ``update`` may be in another
    one, such as bytes of a file.
    """

    def __init__(
        self,
        out: TextIO,
        total: int | None,
        unit: str = "rows",
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._out = out
        self._total = total
        self._unit = unit
        self._every_s = every_s
        self._clock = clock
        self._began = self._said = clock()
        self._bar: tqdm[Any] | None = None
        if out.isatty():
            form = _BAR if total else _NO_BAR
            self._bar = tqdm(total=total, file=out, bar_format=form, dynamic_ncols=True)

    def update(self, rows: int, position: int) -> None:
        """Cheap enough to be called all the time."""
        now = self._clock()
        if self._bar is not None:
            self._bar.set_postfix_str(self._rate(rows, now), refresh=False)
            self._bar.update(position - self._bar.n)
        elif now - self._said >= self._every_s:
            self._said = now
            self.say(self._rate(rows, now) + self._left(position, now))

    def _rate(self, rows: int, now: float) -> str:
        rate = rows / max(now - self._began, 0.001)
        return f"{rows:,} {self._unit}, {rate:,.0f}/s"

    def _left(self, position: int, now: float) -> str:
        if not self._total or not position:
            return ""
        left_s = (now - self._began) * max(self._total - position, 0) / position
        return f", {100 * position // self._total} %, {left_s:,.0f} s left"

    def say(self, text: str) -> None:
        """A line of text, above the bar if there is one."""
        if self._bar is not None:
            tqdm.write(text, file=self._out)
        else:
            self._out.write(f"{text}\n")
            self._out.flush()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
