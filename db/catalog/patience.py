"""Retries while the store is away or late, for as long as a waiting user accepts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from errors import Late, Unavailable

T = TypeVar("T")

PAUSES_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)


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
