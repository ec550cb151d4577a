"""Single-flight: concurrent callers for a key share one load.

The load is a task of its own, and the callers wait for an event. So cancelling a caller affects
nobody else. If all callers awaited the task itself, one cancellation would cancel the load. With
``asyncio.wait`` a cancelled caller would search all callbacks of the task for its own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Load = Callable[["Flight"], Coroutine[Any, Any, T]]


class Flight:
    """One load under way.

    ``current`` turns False once a write has made its result doubtful. The result still answers
    callers that asked before the write, but must not be kept. A flight does not refer to its task,
    because the frames of a failed load refer to the flight, and a cycle would keep them.
    """

    def __init__(self) -> None:
        self.current = True
        self.ended = asyncio.Event()


class SingleFlight(Generic[T]):
    """Loads by key. A key has at most one current load."""

    def __init__(self) -> None:
        self._flights: dict[str, tuple[Flight, asyncio.Task[T]]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def do(self, key: str, load: Load[T]) -> tuple[T, bool]:
        """Return the loaded value, and whether the load was another caller's. Raise its error."""
        joined = key in self._flights
        if not joined:
            flight = Flight()
            task = asyncio.create_task(load(flight))
            task.add_done_callback(partial(self._end, key, flight))
            self._flights[key] = flight, task
        flight, task = self._flights[key]
        try:
            await flight.ended.wait()
            return task.result(), joined
        finally:  # an error refers to this frame; a reference back would be a cycle
            del task

    def forget(self, key: str) -> None:
        """Let later callers start a new load. The load under way may be older than a write."""
        if key in self._flights:
            self._flights.pop(key)[0].current = False

    def _end(self, key: str, flight: Flight, task: asyncio.Task[T]) -> None:
        if flight.current:
            del self._flights[key]
        flight.ended.set()
        if not task.cancelled():
            task.exception()  # else asyncio logs an error that no caller waits for any more
