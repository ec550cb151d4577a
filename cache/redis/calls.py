"""Requests to Redis with a deadline: coalesced reads, and calls of scripts.

All keys that are asked for in one turn of the event loop leave as one MGET. A waiter gets its
value, or None at the deadline. A reply that comes later is still parsed in its order, and its
values may still be kept near.

The error reply of a script is either an outage or a refusal. An outage ends the connection, and a
new one comes up once a handshake passes. A refusal (no memory, no replicas, no permission) concerns
only fills and writes, so reads go on.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from hiredis import ReplyError

from cache.entry import Entry
from cache.redis.connection import Argument, OnReply, Reply
from cache.redis.handshake import is_outage
from cache.redis.link import Link
from cache.redis.metrics import RedisMetrics
from cache.redis.scripts import FILL, Script

logger = logging.getLogger("content")

T = TypeVar("T")

KEYS_MAX = 256
"""Keys in one MGET at most, because Redis runs no other command meanwhile."""

Batch = dict[str, list[asyncio.Future[Entry | None]]]
"""The waiters of one MGET, by key."""


def once_read(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call ``callback`` from a timer, after the loop has read its sockets.

    After a stall of this process, a reply that came in time may still be unread when its timer
    fires. Under overload every turn of the event loop is such a stall. So a reply counts as late
    only after the sockets have been read. The first ``call_soon`` may run before that, the second
    runs after it.
    """
    loop.call_soon(loop.call_soon, callback)


@dataclass(eq=False)
class Calls:
    """Sends reads and scripts on the connection of ``link``.

    A read has ``deadline_s``. ``parse`` makes an Entry of a key and its packed value, or None.
    ``refusal`` is the reason if Redis refuses fills and writes, else empty.
    """

    link: Link
    deadline_s: float
    parse: Callable[[str, bytes], Entry | None]
    metrics: RedisMetrics

    def __post_init__(self) -> None:
        self.refusal = ""
        self._open: Batch = {}
        self._sent: deque[tuple[float, Batch]] = deque()  # (due, batch): not late yet, oldest first
        self._is_timed = False

    def read(self, key: str) -> asyncio.Future[Entry | None]:
        """Return a future of the value. Every reader gets a new future, to be cancelled alone."""
        loop = asyncio.get_running_loop()
        if not self._open or len(self._open) >= KEYS_MAX:
            self._open = {}
            loop.call_soon(self._send_open, self._open)
        waiter: asyncio.Future[Entry | None] = loop.create_future()
        self._open.setdefault(key, []).append(waiter)
        return waiter

    def _send_open(self, batch: Batch) -> None:
        if self._open is batch:
            self._open = {}
        session = self.link.session
        command = ("MGET", *map(f"{session.prefix}v:".__add__, batch))
        answered = partial(self._answered, batch, time.monotonic())
        if session.connection is not None and session.connection.send(command, answered):
            due = asyncio.get_running_loop().time() + self.deadline_s
            self._sent.append((due, batch))
            if not self._is_timed:
                self._time_oldest()
        else:
            self._tell(batch, [None] * len(batch), "down")

    def _answered(self, batch: Batch, sent_s: float, reply: Reply) -> None:
        """Parse the values, and resolve the waiters unless they were told that Redis is late.

        If ``parse`` raises, the connection ends, and the waiters get None at their deadline.
        """
        self.metrics.timings.count(time.monotonic() - sent_s, "MGET")
        error, parse = reply if isinstance(reply, Exception) else None, self.parse
        values = [None] * len(batch) if error else reply
        entries = [
            None if packed is None else parse(key, packed)
            for key, packed in zip(batch, values, strict=True)
        ]
        # replies keep the order of the reads, so any other read here was late
        if self._sent and self._sent[0][1] is batch:
            self._sent.popleft()
            self._tell(batch, entries, "down" if error else "miss")
        if error:  # without reads the connection is of no use
            self.link.fail(str(error))

    def _tell(self, batch: Batch, entries: Sequence[Entry | None], absent: str) -> None:
        """Resolve the waiters, and count each waiter as a hit or as ``absent``."""
        for waiters, entry in zip(batch.values(), entries, strict=True):
            self.metrics.count(absent if entry is None else "hit", len(waiters))
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(entry)

    def _time_oldest(self) -> None:
        """Set the timer of the oldest read, because a timer for each read would cost more."""
        self._is_timed = bool(self._sent)
        if self._sent:
            loop, due = asyncio.get_running_loop(), self._sent[0][0]
            loop.call_at(due, once_read, loop, partial(self._expire, due))

    def _expire(self, due: float) -> None:
        while self._sent and self._sent[0][0] <= due:
            batch = self._sent.popleft()[1]
            self._tell(batch, [None] * len(batch), "late")
        self._time_oldest()

    def start(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument],
        deadline_s: float,
        parse: Callable[[Reply, bool], T],
    ) -> asyncio.Future[T | None]:
        """Call a script. Return a future of ``parse(reply, is_late)``.

        The result is None after an error or the deadline. ``parse`` runs in the connection's parser
        for every reply but an error. The reply ``is_late`` if nobody waits for it any more.
        """
        loop, sent_s = asyncio.get_running_loop(), time.monotonic()
        future: asyncio.Future[T | None] = loop.create_future()

        def late() -> None:
            if not future.done():
                future.set_result(None)

        timer = loop.call_later(deadline_s, once_read, loop, late)

        def answered(reply: Reply) -> None:
            self.metrics.timings.count(time.monotonic() - sent_s, "EVALSHA")
            is_late = future.done()
            result = None if isinstance(reply, Exception) else parse(reply, is_late)
            timer.cancel()  # not earlier: if ``parse`` raises, the deadline ends the wait
            if not is_late:
                future.set_result(result)
            self._judge(reply)

        if not self.send(script, keys, args, answered):
            timer.cancel()
            future.set_result(None)
        return future

    def send(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument],
        on_reply: OnReply | None = None,
    ) -> bool:
        """Send a call of a script, as ``Connection.send`` does.

        Only a fill waits for room, so that unsent fills hold up no write.
        """
        connection, then = self.link.session.connection, on_reply or self._judge
        if connection is None:
            return False
        call, is_small = (len(keys), *keys, *args), script is not FILL
        if script.sha in connection.known:
            return connection.send(("EVALSHA", script.sha, *call), then, even_if_full=is_small)

        def answered(reply: Reply) -> None:
            if not isinstance(reply, Exception):
                connection.known.add(script.sha)
            then(reply)

        return connection.send(("EVAL", script.lua, *call), answered, even_if_full=is_small)

    def _judge(self, reply: Reply) -> None:
        """Act on a refusal, on the end of a refusal, or on an outage."""
        if isinstance(reply, ReplyError) and is_outage(reply):
            self.link.fail(str(reply))
        elif isinstance(reply, ReplyError):
            self.metrics.refusals.inc()
            if not self.refusal:
                logger.warning("Redis refuses fills and writes: %s", reply)
            self.refusal = str(reply)
        elif self.refusal and not isinstance(reply, Exception):
            self.refusal = ""
            logger.info("Redis takes fills and writes again")
