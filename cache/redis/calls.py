"""Requests to Redis with a deadline: coalesced reads, and calls of scripts.

All keys that are asked for in one turn of the event loop leave as one MGET. A reader gets its
values, or Nones at the deadline. A reply that comes later is still parsed in its order, and its
values may still be kept near.

The error reply of a script is either an outage or a refusal. An outage ends the connection, and a
new one comes up once a handshake passes. A refusal (no memory, no replicas, no permission) concerns
only fills and writes, so reads go on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from hiredis import ReplyError

from cache.entry import Entry
from cache.redis.connection import Argument, OnReply, Reply
from cache.redis.handshake import is_outage
from cache.redis.link import Link
from cache.redis.metrics import RedisMetrics
from cache.redis.scripts import Script

logger = logging.getLogger("content")

T = TypeVar("T")

_READ_ONLY = re.compile(r"\bREADONLY\b")  # Redis 6 puts it behind "ERR Error running script"

KEYS_MAX = 256
"""Keys in one MGET at most, because Redis runs no other command meanwhile."""

Reader = tuple[Sequence[str], asyncio.Future[list[Entry | None]]]
"""Keys, and the future of their values."""


def once_read(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call ``callback`` from a timer, after the loop has read its sockets.

    After a stall of this process, a reply that came in time may still be unread when its timer
    fires. Under overload every turn of the event loop is such a stall. So a reply counts as late
    only after the sockets have been read. The first ``call_soon`` may run before that, the second
    runs after it.
    """
    loop.call_soon(loop.call_soon, callback)


class Calls:
    """Sends reads and scripts on the connection of ``link``.

    A read has ``deadline_s``. ``parse`` makes an Entry of a key and its packed value; None is a
    miss. ``refusal`` is the reason if Redis refuses fills and writes, else empty.
    """

    def __init__(
        self,
        link: Link,
        deadline_s: float,
        parse: Callable[[str, bytes], Entry | None],
        metrics: RedisMetrics,
    ) -> None:
        self.refusal = ""
        self._link, self._deadline_s = link, deadline_s
        self._parse, self._metrics = parse, metrics
        self._readers: list[Reader] = []  # of this turn of the event loop
        self._room = 0  # for so many more keys

    def read(self, keys: Sequence[str]) -> asyncio.Future[list[Entry | None]]:
        """Return a future of the values of ``keys``, of which there are at most KEYS_MAX.

        Every reader gets a new future, to be cancelled alone.
        """
        loop = asyncio.get_running_loop()
        if self._room < len(keys):
            self._readers, self._room = [], KEYS_MAX
            loop.call_soon(self._send_reads, self._readers)
        self._room -= len(keys)
        values: asyncio.Future[list[Entry | None]] = loop.create_future()
        self._readers.append((keys, values))
        return values

    def _send_reads(self, readers: list[Reader]) -> None:
        if self._readers is readers:
            self._room = 0
        keys = list(dict.fromkeys([key for asked, _ in readers for key in asked]))
        session = self._link.session

        def parse(reply: Reply, is_late: bool) -> bool:
            packed = zip(keys, reply, strict=True)
            found = {key: self._parse(key, value) for key, value in packed if value is not None}
            if not is_late:
                self._tell(readers, found, "miss")
            return True

        def ended(told: asyncio.Future[bool | None]) -> None:
            if not told.result():
                is_up = is_sent and self._link.session is session
                self._tell(readers, {}, "late" if is_up else "down")

        command = ("MGET", *[f"{session.prefix}v:{key}" for key in keys])
        send = partial(self._link.send, command)
        told = self._start("MGET", send, self._deadline_s, parse, self._end_if_refused)
        is_sent = not told.done()
        told.add_done_callback(ended)

    def _tell(self, readers: list[Reader], found: dict[str, Entry | None], absent: str) -> None:
        """Resolve the futures of ``readers``, and count the values that are not ``found``."""
        asked = misses = 0
        for keys, future in readers:
            values = [*map(found.get, keys)]
            asked += len(values)
            misses += values.count(None)
            if not future.done():
                future.set_result(values)
        self._metrics.count("hit", asked - misses)
        self._metrics.count(absent, misses)

    def _end_if_refused(self, reply: Reply) -> None:
        """End the connection after an error, because without reads it is of no use."""
        if isinstance(reply, ReplyError):
            self._link.fail(str(reply))

    def start(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[Argument],
        deadline_s: float,
        parse: Callable[[Reply, bool], T],
    ) -> asyncio.Future[T | None]:
        """Call a script. Return a future of ``parse(reply, is_late)``, as ``_start`` does."""
        send = partial(self.send, script, keys, args)
        return self._start("EVALSHA", send, deadline_s, parse, self._judge)

    def _start(
        self,
        name: str,
        send: Callable[[OnReply], bool],
        deadline_s: float,
        parse: Callable[[Reply, bool], T],
        judge: OnReply,
    ) -> asyncio.Future[T | None]:
        """Send a command. Return a future of ``parse(reply, is_late)``.

        The result is None after an error or the deadline. ``parse`` runs in the connection's parser
        for every reply but an error. The reply ``is_late`` if nobody waits for it any more.
        ``judge`` gets every reply at last.
        """
        loop, sent_s = asyncio.get_running_loop(), time.monotonic()
        future: asyncio.Future[T | None] = loop.create_future()

        def late() -> None:
            if not future.done():
                future.set_result(None)

        timer = loop.call_later(deadline_s, once_read, loop, late)

        def answered(reply: Reply) -> None:
            self._metrics.timings.count(time.monotonic() - sent_s, name)
            is_late = future.done()
            result = None if isinstance(reply, Exception) else parse(reply, is_late)
            timer.cancel()  # not earlier: if ``parse`` raises, the deadline ends the wait
            if not is_late:
                future.set_result(result)
            judge(reply)

        if not send(answered):
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
        """Send a call of a script, as ``Connection.send`` does."""
        connection, then = self._link.session.connection, on_reply or self._judge
        if connection is None:
            return False
        call = (len(keys), *keys, *args)
        if script.sha in connection.known:
            return connection.send(("EVALSHA", script.sha, *call), then)

        def answered(reply: Reply) -> None:
            if not isinstance(reply, Exception):
                connection.known.add(script.sha)
            then(reply)

        return connection.send(("EVAL", script.lua, *call), answered)

    def _judge(self, reply: Reply) -> None:
        """Act on a refusal, on the end of a refusal, or on an outage."""
        if isinstance(reply, ReplyError):
            text = str(reply)
            if is_outage(reply) or _READ_ONLY.search(text):
                return self._link.fail(text)
            self._metrics.refusals.inc()
            if not self.refusal:
                logger.warning("Redis refuses fills and writes: %s", text)
            self.refusal = text
        elif self.refusal and not isinstance(reply, Exception):
            self.refusal = ""
            logger.info("Redis takes fills and writes again")
        return None
