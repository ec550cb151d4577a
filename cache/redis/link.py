"""Keeps one connection to Redis up: connects, watches it, and reconnects after an outage.

Invariant: ``connection`` and ``session`` are set exactly while Redis has proven alive within the
last second or so. For every other module their absence is a miss. Reconnecting takes no restart.
Tries cost next to nothing, because their back-off has jitter and a cap.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from hiredis import ReplyError

from cache.lag import once_read
from cache.redis.address import Address
from cache.redis.connection import Connection, Lost, Reply
from cache.redis.handshake import Refused, Session, check_reign, check_role, greet
from errors import ServiceError

logger = logging.getLogger("content")

BACKOFF_S, BACKOFF_MAX_S = 0.02, 1.0
HEARTBEAT_S = 0.5
STORE_S = 1.0
BEHIND_LOOKS = 4  # of hang_s / 4 each, for this process to catch up after a stall
STEADY_S = 0.5
"""A connection that lasted longer resets the back-off. A flapping connection does not."""

Identity = str | Callable[[], Awaitable[str]]


class Place(Protocol):
    """Finds the master: an ``Address`` or ``Sentinels``."""

    async def find(self) -> Address:
        """Return the master's address, within a bounded time. Raise an error if it is unknown."""

    async def guard(self, address: Address, drop: Callable[[str], None]) -> None:
        """Call ``drop`` with the reason once the master is no longer at ``address``."""


class Link:
    """Holds the connection. ``on_state`` is called at each change, synchronously, with the session
    or None. If a command is unanswered for ``hang_s``, the connection counts as dead."""

    def __init__(
        self,
        place: Place,
        identity: Identity,
        *,
        on_push: Callable[[list[Any]], None],
        on_state: Callable[[Session | None], None],
        hang_s: float,
        handshake_s: float,
    ) -> None:
        self.connection: Connection | None = None
        self.session: Session | None = None
        self.reason = "not opened yet"
        self.attempts = 0
        self._place, self._identity = place, identity
        self._where = ""
        self._on_push, self._on_state = on_push, on_state
        self._hang_s, self._handshake_s = hang_s, handshake_s
        self._up = asyncio.Event()
        self._said: set[str] = set()
        self._is_down_said = False
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the connection, without a line in the log, because nothing went wrong."""
        self._is_down_said = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self.reason = "closed"

    async def up_within(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the connection. Return whether it is up."""
        if not self._up.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._up.wait()
            except TimeoutError:
                return False
        return True

    def fail(self, reason: str) -> None:
        """Drop the connection, because a reply or a push has shown that it is of no use now."""
        if self.connection is not None:
            self.connection.abort(reason)

    async def _keep(self) -> None:
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._live_once()
            except ServiceError as error:  # the store is not reached yet, and Redis was not asked
                self._down(_text(error))
                failures = 0  # so Redis is up soon after the store is, not a long pause later
            except Exception as error:  # noqa: BLE001 - after any error the next try may succeed
                self._down(_text(error))
            if asyncio.get_running_loop().time() - began > STEADY_S:
                failures = 0
            pause_s = min(BACKOFF_MAX_S, BACKOFF_S * 2**failures)
            failures = min(failures + 1, 16)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))

    async def _live_once(self) -> None:
        """Make one connection and keep it to its end. Always raise the reason of the end."""
        self.attempts += 1
        self._where = ""
        identity = await self._store()
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[str] = loop.create_future()

        def lost(reason: str) -> None:
            self._down(reason)
            if not ended.done():
                ended.set_result(reason)

        connection = Connection(self._on_push, lost)
        address = await self._place.find()
        self._where = f" (at {address})"
        guards = [
            asyncio.create_task(self._place.guard(address, connection.abort)),
            asyncio.create_task(self._guard_store(identity, connection.abort)),
        ]
        try:
            async with asyncio.timeout(self._handshake_s):
                await address.connect(connection)
                session = await greet(connection, identity)
            self._went_up(connection, session)
            with Watch(connection, session, self._hang_s):
                raise Lost(await ended)
        except BaseException as error:
            connection.abort(_text(error))
            raise
        finally:
            for guard in guards:
                guard.cancel()
            await asyncio.wait(guards)

    async def _store(self) -> str:
        return self._identity if isinstance(self._identity, str) else await self._identity()

    async def _guard_store(self, identity: str, drop: Callable[[str], None]) -> None:
        """Call ``drop`` once the store was made anew, because its rows then have other keys."""
        with suppress(ServiceError):  # the store closes
            while await self._store() == identity:  # noqa: ASYNC110 - a store reports no change
                await asyncio.sleep(STORE_S)
            drop("the store was made anew")

    def _went_up(self, connection: Connection, session: Session) -> None:
        if connection.lost_because is not None:
            raise Lost(connection.lost_because)
        self.connection, self.session, self.reason = connection, session, ""
        self._is_down_said = False
        tracking = "on" if session.tracking else "off"
        logger.info("Redis is up: run %s, tracking %s", session.run, tracking)
        for level, texts in ((logging.WARNING, session.warnings), (logging.INFO, session.notes)):
            for text in texts:
                self.say_once(level, text)
        self._on_state(session)
        self._up.set()

    def _down(self, reason: str) -> None:
        self.reason = reason = reason + self._where
        if not self._is_down_said:
            self._is_down_said = True
            logger.warning("Redis is down: %s; reads do without it, writes are refused", reason)
        if self.connection is not None:
            self.connection = self.session = None
            self._up.clear()
            self._on_state(None)

    def say_once(self, level: int, text: str) -> None:
        """Log ``text`` if it is new. Most connections would repeat the same texts."""
        if text not in self._said:
            self._said.add(text)
            logger.log(level, text)


class Watch:
    """Drops a connection that is dead, or whose server no longer serves the session's reign.

    A connection is dead if its oldest command is unanswered for ``hang_s``. Every HEARTBEAT_S the
    watch sends HELLO, which shows the server's role, and INFO, which shows its replication ID. The
    first time is at once, because no invalidation reports a reign that began between INFO and
    CLIENT TRACKING of the handshake.
    """

    def __init__(self, connection: Connection, session: Session, hang_s: float) -> None:
        self._connection, self._session = connection, session
        self._hang_s = hang_s
        self._loop = asyncio.get_running_loop()
        self._asked_at = float("-inf")
        self._behind = 0

    def __enter__(self) -> None:
        self._ask()

    def __exit__(self, *_exc: object) -> None:
        self._timer.cancel()

    def _arm(self) -> None:
        self._timer = self._loop.call_later(self._hang_s / 4, self._look)

    def _look(self) -> None:
        if self._connection.waiting_s() > self._hang_s:
            return once_read(self._loop, partial(self._judge, self._connection.oldest))
        self._behind = 0
        return self._ask()

    def _judge(self, oldest: object) -> None:
        """Abort the connection if Redis is slow. Go on if only this process was slow to read.

        1. If the oldest command is the same after the sockets were read, no reply came. Abort.
        2. If another command is the oldest now, replies come. Go on.
        3. If replies have come too late for BEHIND_LOOKS looks in a row, Redis is slow, because
           this process has had time to read them. Abort.
        """
        if self._connection.lost_because is not None:
            return None
        self._behind = self._behind + 1 if self._connection.waiting_s() > self._hang_s else 0
        if self._connection.oldest is oldest or self._behind >= BEHIND_LOOKS:
            return self._connection.abort(f"no answer for {self._hang_s} s")
        return self._ask()

    def _ask(self) -> None:
        now = self._loop.time()
        if now - self._asked_at >= HEARTBEAT_S:
            self._asked_at = now
            self._connection.send(("HELLO", 3), self._heard)
            if self._session.replication_id:
                self._connection.send(("INFO", "replication"), self._heard_more)
        self._arm()

    def _heard(self, reply: Reply) -> None:
        try:
            if isinstance(reply, ReplyError):
                raise Refused(str(reply))
            check_role(reply)
        except Refused as error:
            self._connection.abort(str(error))

    def _heard_more(self, reply: Reply) -> None:
        try:
            check_reign(self._session, reply)
        except Refused as error:
            self._connection.abort(str(error))


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer to a new connection in time"
    return str(error) or type(error).__name__
