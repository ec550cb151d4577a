"""Writes between an intent and its end, so that no cache keeps what they replace.

Invariant: once ``around`` has returned, no value that was read before the write is in Redis, and
no fill of one can still arrive there. That takes Redis at both ends: a write that cannot place its
intent is refused, one that cannot end it says that its outcome is unknown and goes on trying.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any, TypeVar

from cache.leases import Intent
from cache.redis import RedisRows
from errors import OutcomeUnknown

logger = logging.getLogger("content")

T = TypeVar("T")

TRIES = 20
PAUSE_S = 0.05
CLOSE_S = 2.0
GIVE_UP_S = 90_000.0  # by default a value lives no longer than that in Redis


class Fence:
    """Places and ends intents. ``forget`` drops keys from this process's own layers."""

    def __init__(self, redis: RedisRows | None, forget: Callable[[Collection[str]], None]) -> None:
        self._redis = redis
        self._forget = forget
        self._tasks: set[asyncio.Task[Any]] = set()

    async def around(
        self,
        keys: Iterable[str],
        write: Callable[[], Awaitable[T]],
        touched: Callable[[T], Iterable[str]],
    ) -> T:
        """Runs ``write`` fenced on ``keys``, and on what it ``touched`` beyond them. Cancelling
        the caller does not stop it half-way."""
        return await asyncio.shield(self._spawn(self._around(set(keys), write, touched)))

    async def close(self) -> None:
        """Waits for writes under way, but not for what has no end in sight: what is given up then
        is bounded by the intents and the TTL, as if the process had died."""
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _around(
        self,
        keys: set[str],
        write: Callable[[], Awaitable[T]],
        touched: Callable[[T], Iterable[str]],
    ) -> T:
        intent = await self._redis.intend(sorted(keys)) if self._redis else None
        self._forget(keys)  # a load that is under way may be older than the write
        try:
            written = await write()
        except OutcomeUnknown as unknown:
            self._spawn(self._end_later(keys, intent, unknown.settled))
            raise
        except BaseException:
            await self._end(keys, intent)
            raise
        keys |= set(touched(written))
        if not await self._end(keys, intent):
            settled = self._spawn(self._end_later(keys, intent, None))
            raise OutcomeUnknown(settled)
        return written

    async def _end(self, keys: set[str], intent: Intent | None, tries: int = TRIES) -> bool:
        self._forget(keys)
        if self._redis is None or intent is None:
            return True
        for _ in range(tries):
            if await self._redis.settle(sorted(keys), intent):
                self._forget(keys)
                return True
            await asyncio.sleep(PAUSE_S)
        return False

    async def _end_later(
        self, keys: set[str], intent: Intent | None, settled: asyncio.Future[None] | None
    ) -> None:
        """Ends an intent once the store knows what became of the write, and Redis is there."""
        if settled is not None:
            await asyncio.wait([settled])
        deadline = asyncio.get_running_loop().time() + GIVE_UP_S
        while not await self._end(keys, intent):
            if asyncio.get_running_loop().time() > deadline:
                logger.error("an intent on %s could not be ended", sorted(keys)[0])
                return
