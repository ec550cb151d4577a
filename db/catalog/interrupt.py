"""How a command is stopped by a signal: it finishes what is in flight and says where it got to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


class Interrupt:
    """Within it, SIGINT and SIGTERM set ``stop``; a second one ends the program where it is.

    A source may block for as long as it likes (standard input does), so it is read through
    ``guard``: only there does the first signal break in at once.
    """

    def __init__(self, stop: asyncio.Event):
        self.stop = stop
        self.signal: int | None = None
        self._loop = asyncio.get_running_loop()
        self._is_reading = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        is_second = self.signal is not None
        self.signal = number
        if is_second or self._is_reading:
            raise KeyboardInterrupt
        self._loop.call_soon_threadsafe(self.stop.set)  # wakes a loop that sleeps

    def guard(self, items: Iterator[T]) -> Iterator[T]:
        """The same items; they end when a signal comes while the next one is awaited."""
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
