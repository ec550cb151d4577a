"""Fence writes: no cache keeps a value that a write replaces.

Invariant: once ``around`` has returned, Redis holds no value that was read before the write, and no
later fill stores one. A write goes in these steps:

1. Place the intent. It deletes value and lease of every key, and blocks fills until it is lifted or
   expires. If it is not known to stand within the write's deadline, raise Unavailable: nothing is
   written.
2. Forget the keys in this process, because a load under way may be older than the write.
3. Write to the store.
4. Lift the intent only when the write is known to be done or not done:
   a. If the store returns, the write is done. Settle. If Redis does not confirm that within
      END_S, raise OutcomeUnknown, and go on settling in the background.
   b. If the store raises a ServiceError other than OutcomeUnknown, the write is not done. Try once
      to settle. If Redis does not confirm that, the intent expires.
   c. If the store raises OutcomeUnknown, settle in the background, once the error's ``settled`` has
      ended. If ``settled`` was cancelled or failed, go on as in d.
   d. If anything else ends step 3, such as a cancellation, the store may still finish the write.
      Place a new intent, which lasts its whole time from now on, and leave it to expire.

``close`` cancels writes as in d. A process that is killed leaves its intents to expire, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress

from cache.keys import genre_key, row_key
from cache.redis.absent import Rows
from cache.redis.scripts import Intent
from db.background import Background
from db.store import Written
from errors import OutcomeUnknown, ServiceError, Unavailable

logger = logging.getLogger("content")

Write = Callable[[], Awaitable[Written]]

END_S, PAUSE_S = 1.0, 0.05
"""How long a write waits for its intent to be ended, and the pause between two tries."""
CLOSE_S = 3.0
"""How long ``close`` waits for writes. The Cassandra store lets a write finish for as long."""
GIVE_UP_S = 90_000.0  # no value stays longer in Redis: REDIS_TTL_S and STALE_S by default


class Fence:
    """Places and ends intents. ``forget`` drops keys from this process's own layers."""

    def __init__(self, redis: Rows, forget: Callable[[Collection[str]], None]) -> None:
        self._redis = redis
        self._forget = forget
        self._background = Background()

    async def around(self, video_id: str, genres: Iterable[str], write: Write) -> Written:
        """Run ``write`` fenced on a row and the lists of ``genres``.

        Lists that the write turns out to change are settled, too. Cancelling the caller does not
        stop the write.
        """
        keys = {row_key(video_id), *map(genre_key, genres)}
        return await self._background.finish(self._around(keys, write))

    async def close(self) -> None:
        """Wait up to ``CLOSE_S`` for writes under way, then cancel them.

        A cancelled write keeps its intent.
        """
        await self._background.close(CLOSE_S)

    async def _around(self, keys: set[str], write: Write) -> Written:
        intent = await self._redis.intend(sorted(keys))
        self._forget(keys)  # a load that is under way may be older than the write
        try:
            written = await write()
        except OutcomeUnknown as unknown:
            self._background.spawn(self._end_later(keys, intent, unknown.settled))
            raise
        except ServiceError:
            await self._end(keys, intent, 0)
            raise
        except BaseException:
            await self._leave(keys)
            raise
        before, after = (set(row["genres"] if row else ()) for row in written)
        keys |= set(map(genre_key, before ^ after))
        if not await self._end(keys, intent, END_S):
            settled = self._background.spawn(self._end_later(keys, intent, None))
            raise OutcomeUnknown(settled)
        return written

    async def _end(self, keys: set[str], intent: Intent, within_s: float) -> bool:
        self._forget(keys)
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while not await self._redis.settle(sorted(keys), intent):
            if loop.time() >= until:
                return False
            await asyncio.sleep(PAUSE_S)
        self._forget(keys)
        return True

    async def _end_later(
        self, keys: set[str], intent: Intent, settled: asyncio.Future[None] | None
    ) -> None:
        """End an intent once the store knows the outcome. Retry for up to GIVE_UP_S."""
        if settled is not None:
            try:
                await asyncio.wait([settled])
            except asyncio.CancelledError:
                await self._leave(keys)
                raise
            if settled.cancelled() or settled.exception() is not None:
                return await self._leave(keys)
        deadline = asyncio.get_running_loop().time() + GIVE_UP_S
        while not await self._end(keys, intent, END_S):
            if asyncio.get_running_loop().time() > deadline:
                return logger.error("an intent on %s could not be ended", sorted(keys)[0])
        return None

    async def _leave(self, keys: set[str]) -> None:
        """Block fills of ``keys`` for the lifetime of an intent.

        This gives up a write of unknown outcome.
        """
        self._forget(keys)
        with suppress(Unavailable):
            await self._redis.intend(sorted(keys), may_be_late=True)
