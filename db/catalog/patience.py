"""Trying again when the store is away or late, for as long as makes sense to a user who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from errors import Late, Unavailable

T = TypeVar("T")

ATTEMPTS = 9
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0


class Patience:
    """Calls again after Unavailable and Late, with pauses that double: half a minute in all.

    Only for what may be done twice. ``stop`` ends the pauses: the failure is then the answer.
    """

    def __init__(
        self,
        stop: asyncio.Event,
        attempts: int = ATTEMPTS,
        first_pause_s: float = FIRST_PAUSE_S,
    ):
        self.stop = stop
        self._attempts = attempts
        self._first_pause_s = first_pause_s

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        pause_s = self._first_pause_s
        for _ in range(self._attempts - 1):
            try:
                return await call()
            except (Unavailable, Late):
                if await self.sleep(pause_s):
                    raise
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        return await call()

    async def sleep(self, seconds: float) -> bool:
        """Sleeps; True, and at once, when it is time to stop."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return False
        return True
