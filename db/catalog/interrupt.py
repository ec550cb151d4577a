"""SIGINT and SIGTERM let a command finish the batches in flight and report how far it got."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """A context in which the first signal sets ``stop``, and the second ends the program at once.

    ``signal`` is the number of the last signal, 0 for none.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.signal = 0
        self._loop = asyncio.get_running_loop()
        self._is_reading = False

    def __enter__(self) -> Interrupt:
        self._before = [signal.signal(number, self._heard) for number in SIGNALS]
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in zip(SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        is_second, self.signal = self.signal != 0, number
        if is_second or self._is_reading:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self.stop.set)  # wakes a loop that sleeps

    def guard(self, items: Iterator[T]) -> Iterator[T]:
        """Yield ``items`` until a signal comes while the next item is read, because a standard
        input that is silent blocks the event loop."""
        try:
            while True:
                self._is_reading = True
                item = next(items, None)
                self._is_reading = False
                if item is None:
                    return
                yield item
        except KeyboardInterrupt:
            self.stop.set()
        finally:
            self._is_reading = False
