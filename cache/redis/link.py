"""Keeps one connection to Redis up: connects, watches it, and reconnects after an outage.

Invariant: ``session`` has a connection exactly while Redis has proven alive within the last second
or so. For every other module its absence is a miss. Reconnecting takes no restart. Tries cost next
to nothing, because their back-off has jitter and a cap.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from cache.redis.address import Address
from cache.redis.connection import Connection, Lost
from cache.redis.handshake import Session, greet, note_clock, reign_ended, role_refused
from cache.redis.sentinel import Sentinels
from errors import ServiceError

logger = logging.getLogger("content")

BACKOFF_S, BACKOFF_MAX_S = 0.02, 1.0
HEARTBEAT_S = 0.25
STORE_S = 1.0
STEADY_S = 0.5
"""A connection that lasted longer resets the back-off. A flapping connection does not."""

Place = Address | Sentinels
"""Finds the master."""
Identity = Callable[[], Awaitable[str]]


@dataclass(eq=False)
class Link:
    """Holds the connection.

    ``on_state`` is called after each change of ``session``. If a heartbeat is unanswered for
    ``hang_s``, the connection counts as dead.
    """

    place: Place
    identity: Identity
    on_push: Callable[[list[Any]], None]
    on_state: Callable[[], None]
    hang_s: float
    handshake_s: float

    def __post_init__(self) -> None:
        self.session = Session()
        self.reason = "not opened yet"
        self.attempts = 0
        self._where = ""
        self._up = asyncio.Event()
        self._said: set[str] = set()
        self._is_down_said = False
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the connection, without a line in the log, because nothing went wrong."""
        self._is_down_said = True
        while self._task is not None and not self._task.done():
            self._task.cancel()  # again, because a TaskGroup that fails meanwhile forgets it
            await asyncio.wait([self._task], timeout=0.1)
        self.reason = "closed"

    async def up_within(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the connection. Return whether it is up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._up.wait()
        return self._up.is_set()

    def fail(self, reason: str) -> None:
        """Drop the connection, because a reply or a push has shown that it is of no use now."""
        if self.session.connection is not None:
            self.session.connection.abort(reason)

    async def _keep(self) -> None:
        loop, pause_s = asyncio.get_running_loop(), BACKOFF_S
        while True:
            began = loop.time()
            try:
                await self._live_once()
            except Exception as error:  # noqa: BLE001 - after any error the next try may succeed
                # Redis is not asked while the store is away, and has to be up soon after it
                is_asked = not isinstance(error, ServiceError)
                self._down(_text(error) if is_asked else "not asked until the store is reached")
                if not is_asked or loop.time() - began > STEADY_S:
                    pause_s = BACKOFF_S
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(BACKOFF_MAX_S, pause_s * 2)

    async def _live_once(self) -> None:
        """Make one connection and keep it to its end. Always raise the reason of the end."""
        self.attempts += 1
        self._where = ""
        identity = await self.identity()
        address = await self.place.find()
        self._where = f" (at {address})"
        connection = Connection(self.on_push, self._down)
        try:
            async with asyncio.TaskGroup() as guards:  # the first to raise ends the others
                guards.create_task(connection.end())
                guards.create_task(self.place.guard(address))
                guards.create_task(self._guard_store(identity))
                async with asyncio.timeout(self.handshake_s):
                    await address.connect(connection)
                    session = await greet(connection, identity)
                if connection.lost_because is not None:
                    raise Lost(connection.lost_because)
                self._went_up(session)
                await watch(session, self.hang_s)
        except BaseException as error:
            connection.abort(_text(error))
            raise

    async def _guard_store(self, identity: str) -> None:
        """Raise Lost once the store was made anew, because its rows then have other keys."""
        with suppress(ServiceError):  # the store closes
            while await self.identity() == identity:  # noqa: ASYNC110 - a store reports no change
                await asyncio.sleep(STORE_S)
            raise Lost("the store was made anew")

    def _went_up(self, session: Session) -> None:
        self.session, self.reason = session, ""
        self._is_down_said = False
        tracking = "on" if session.tracking else "off"
        logger.info("Redis is up: run %s, tracking %s", session.run, tracking)
        for text in session.warnings:
            if text not in self._said:  # most connections would repeat the same texts
                self._said.add(text)
                logger.warning(text)
        self.on_state()
        self._up.set()

    def _down(self, reason: str) -> None:
        self.reason = reason = reason + self._where
        if not self._is_down_said:
            self._is_down_said = True
            logger.warning("Redis is down: %s; reads do without it, writes are refused", reason)
        if self.session.connection is not None:
            self.session = Session()
            self._up.clear()
            self.on_state()


async def watch(session: Session, hang_s: float) -> None:
    """Raise Lost once a heartbeat is unanswered for ``hang_s``.

    End the connection if the server no longer serves the reign of ``session``.

    A heartbeat is TIME, because a clock may be set at any moment, HELLO, which shows the server's
    role, and INFO, which shows its replication ID. The first is at once, because no invalidation
    reports a reign that began between INFO and CLIENT TRACKING of the handshake. Its replies are
    checked in the parser, so before the reply to any read that was sent later.
    """
    connection = session.connection
    assert connection is not None
    while True:
        connection.ask("TIME", check=partial(note_clock, session, time.time()))
        beat = connection.ask("HELLO", 3, check=role_refused)
        if session.replication_id:
            check = partial(reign_ended, session)
            beat = connection.ask("INFO", "replication", check=check)
        await asyncio.wait([beat], timeout=hang_s)
        await asyncio.sleep(0)  # after a stall of this process the loop has yet to read its sockets
        if not beat.done():
            raise Lost(f"no answer for {hang_s} s")
        await asyncio.sleep(HEARTBEAT_S)


def _text(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer to a new connection in time"
    return str(error) or type(error).__name__
