"""Script calls with a deadline, and the meaning of error replies.

An error reply is either an outage or a refusal. An outage ends the connection, and a new one comes
up once a handshake passes. A refusal (no memory, no replicas, no permission) concerns only fills
and writes, so reads go on.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from hiredis import ReplyError

from cache.lag import once_read
from cache.redis.connection import Argument, Reply
from cache.redis.handshake import OUTAGES, code_of
from cache.redis.link import Link
from cache.redis.metrics import RedisMetrics
from cache.redis.scripts import Script

logger = logging.getLogger("content")

T = TypeVar("T")

_READ_ONLY = re.compile(r"\bREADONLY\b")  # Redis 6 puts it behind "ERR Error running script"


class Calls:
    """Runs scripts. ``refusal`` is the reason if Redis refuses fills and writes, else empty."""

    def __init__(self, link: Link, metrics: RedisMetrics) -> None:
        self.refusal = ""
        self._link = link
        self._metrics = metrics

    def start(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument],
        deadline_s: float,
        parse: Callable[[Reply], T],
        unclaimed: Callable[[T], object] = lambda result: None,
    ) -> asyncio.Future[T | None]:
        """Return a future of ``parse(reply)``, which becomes None after an error or the deadline.

        ``parse`` runs in the connection's parser for every reply but an error, a late reply
        included. ``unclaimed`` gets the result of ``parse`` if nobody waits for it any more.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T | None] = loop.create_future()

        def late() -> None:
            if not future.done():
                future.set_result(None)

        timer = loop.call_later(deadline_s, once_read, loop, late)

        def answered(reply: Reply) -> None:
            result = None if isinstance(reply, Exception) else parse(reply)
            timer.cancel()  # not earlier: if ``parse`` raises, the deadline ends the wait
            if not future.done():
                future.set_result(result)
            elif result is not None:
                unclaimed(result)
            self._judge(reply)

        connection = self._link.connection
        if connection is None or not script.send(connection, keys, args, answered):
            timer.cancel()
            future.set_result(None)
        return future

    def tell(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> None:
        """Run a script whose result nobody waits for."""
        connection = self._link.connection
        if connection is not None:
            script.send(connection, keys, args, self._judge)

    def read_failed(self, error: Reply) -> None:
        """Drop the connection if Redis refuses a read, because then it is of no use to us."""
        if isinstance(error, ReplyError):
            self._link.fail(str(error))

    def _judge(self, reply: Reply) -> None:
        if isinstance(reply, ReplyError):
            text = str(reply)
            if code_of(reply) in OUTAGES or _READ_ONLY.search(text):
                return self._link.fail(text)
            self._metrics.refusals.inc()
            if not self.refusal:
                logger.warning("Redis refuses fills and writes: %s", text)
            self.refusal = text
        elif self.refusal and not isinstance(reply, Exception):
            self.refusal = ""
            logger.info("Redis takes fills and writes again")
        return None
