"""How long a command goes on: through outages of the store, and until a signal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from types import FrameType
from typing import TypeVar

from errors import Late, Unavailable

T = TypeVar("T")

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
"""Half a minute in all, which a user who waits accepts."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Patience:
    """Repeats a call after Unavailable and Late, with ``pauses_s`` in between.

    The call has to be idempotent. ``stop`` ends a pause, and the failure is then raised.
    """

    def __init__(self, stop: asyncio.Event, pauses_s: Sequence[float] = PAUSES_S):
        self.stop = stop
        self._pauses_s = pauses_s

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        for pause_s in self._pauses_s:
            try:
                return await call()
            except (Unavailable, Late):
                if await self.sleep(pause_s):
                    raise
        return await call()

    async def sleep(self, seconds: float) -> bool:
        """Sleep until ``stop`` is set at the latest; return whether it is set."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), seconds)
        return self.stop.is_set()


class Interrupt:
    """A context in which the first SIGINT or SIGTERM sets ``stop``, so that a command finishes
    its batch and reports how far it got. The second ends the program at once.

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
