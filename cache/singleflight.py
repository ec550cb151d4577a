"""Single-flight: however many ask for a key at once, it is loaded once.

The load is a task of its own and each waiter has a future of its own, so a waiter that is
cancelled takes nobody with it: awaiting one bare task would cancel it for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """One load under way. ``current`` turns False once a write has made its result doubtful: it
    still answers those who asked before the write, but must not be kept."""

    __slots__ = ("current", "task", "waiters")

    def __init__(self) -> None:
        self.current = True
        self.waiters: list[asyncio.Future[T]] = []
        self.task: asyncio.Task[None] | None = None


class SingleFlight(Generic[T]):
    """Loads by key, one at a time."""

    def __init__(self) -> None:
        self._flights: dict[str, Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    async def do(self, key: str, load: Callable[[Flight[T]], Awaitable[T]]) -> tuple[T, bool]:
        """The loaded value and whether the load was another caller's; raises what it raised."""
        flight = self._flights.get(key)
        joined = flight is not None
        if flight is None:
            flight = self._flights[key] = Flight()
            flight.task = asyncio.create_task(self._run(key, flight, load))
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        flight.waiters.append(waiter)
        try:
            return await waiter, joined
        finally:  # an error holds this frame, which must not hold the error
            del waiter, flight

    def forget(self, key: str) -> None:
        """Whoever asks from now on starts a new load: the one under way may be older than the
        write that calls this."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.current = False

    async def _run(
        self, key: str, flight: Flight[T], load: Callable[[Flight[T]], Awaitable[T]]
    ) -> None:
        try:
            value = await load(flight)
        except BaseException as error:
            self._land(key, flight)
            while flight.waiters:
                _fail(flight.waiters.pop(), error)
            if not isinstance(error, Exception):
                raise
        else:
            self._land(key, flight)
            for waiter in flight.waiters:
                if not waiter.done():
                    waiter.set_result(value)

    def _land(self, key: str, flight: Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def _fail(waiter: asyncio.Future[T], error: BaseException) -> None:
    if waiter.done():
        return
    if isinstance(error, Exception):
        waiter.set_exception(error)
    else:
        waiter.cancel()
