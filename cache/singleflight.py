"""Single-flight: concurrent callers for a key share one load.

The load is a task of its own, and each waiter has a future of its own. So cancelling a waiter
affects nobody else. If all callers awaited the task itself, one cancellation would cancel the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """One load under way.

    ``current`` turns False once a write has made its result doubtful. The result still answers
    callers that asked before the write, but must not be kept.
    """

    __slots__ = ("current", "task", "waiters")

    def __init__(self) -> None:
        self.current = True
        self.waiters: list[asyncio.Future[T]] = []
        self.task: asyncio.Task[None] | None = None


class SingleFlight(Generic[T]):
    """Loads by key. A key has at most one current load."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def do(self, key: str, load: Callable[[Flight[T]], Awaitable[T]]) -> tuple[T, bool]:
        """Return the loaded value, and whether the load was another caller's. Raise its error."""
        flight = self._flights.get(key)
        joined = flight is not None
        if flight is None:
            flight = self._flights[key] = Flight()
            flight.task = asyncio.create_task(self._run(key, flight, load))
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        flight.waiters.append(waiter)
        try:
            return await waiter, joined
        finally:  # an error refers to this frame; a reference back would be a cycle
            del waiter, flight

    def forget(self, key: str) -> None:
        """Let later callers start a new load. The load under way may be older than a write."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.current = False

    async def _run(
        self, key: str, flight: Flight[T], load: Callable[[Flight[T]], Awaitable[T]]
    ) -> None:
        try:
            value = await load(flight)
            for waiter in flight.waiters:
                if not waiter.done():
                    waiter.set_result(value)
        except BaseException as error:
            while flight.waiters:
                _fail(flight.waiters.pop(), error)
            if not isinstance(error, Exception):
                raise
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]


def _fail(waiter: asyncio.Future[T], error: BaseException) -> None:
    if not waiter.done():
        waiter.set_exception(error)
