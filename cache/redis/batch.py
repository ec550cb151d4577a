"""Coalesced reads: all keys that are asked for in one turn of the event loop leave as one MGET.

A waiter gets its value, or None at the deadline. A reply that comes later is still parsed in its
order, and its values may still be kept near.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from cache.entry import Entry
from cache.lag import once_read
from cache.redis.connection import Connection, Reply

KEYS_MAX = 256
"""Keys in one MGET at most, because Redis runs no other command meanwhile."""

Waiter = asyncio.Future[Entry | None]


class Batch:
    """The waiters of one MGET, by key. ``is_late`` is set once the deadline ``due`` has passed."""

    __slots__ = ("due", "is_late", "waiters")

    def __init__(self) -> None:
        self.due = 0.0
        self.is_late = False
        self.waiters: dict[str, list[Waiter]] = {}

    def resolve(self, found: Entry | None) -> int:
        """Give ``found`` to all waiters. Return the number of waiters."""
        count = 0
        for waiters in self.waiters.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(found)
                count += 1
        return count


class Batches:
    """Sends batches on ``connection``. ``parse`` makes an Entry of a key and its packed value; None
    is a miss. ``failed`` gets the error of a batch, ``count`` a result and its number of reads."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        deadline_s: float,
        parse: Callable[[str, Reply], Entry | None],
        failed: Callable[[Reply], None],
        count: Callable[[str, int], None],
    ) -> None:
        self._connection, self._prefix = connection, prefix
        self._deadline_s = deadline_s
        self._parse, self._failed, self._count = parse, failed, count
        self._loop = asyncio.get_running_loop()
        self._open: Batch | None = None
        self._sent: deque[Batch] = deque()  # neither answered nor late, oldest first
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: str) -> Waiter:
        """Return a future of the value. Every reader gets a new future, to be cancelled alone."""
        batch = self._open
        if batch is None or len(batch.waiters) >= KEYS_MAX:
            batch = self._open = Batch()
            self._loop.call_soon(self._send, batch)
        waiter: Waiter = self._loop.create_future()
        waiters = batch.waiters.get(key)
        if waiters is None:
            batch.waiters[key] = [waiter]
        else:
            waiters.append(waiter)
        return waiter

    def _send(self, batch: Batch) -> None:
        if self._open is batch:
            self._open = None
        prefix = self._prefix
        command = ("MGET", *[prefix + key for key in batch.waiters])
        if not self._connection.send(command, partial(self._answered, batch)):
            self._count("down", batch.resolve(None))
            return
        batch.due = self._loop.time() + self._deadline_s
        self._sent.append(batch)
        if self._timer is None:  # one timer for all batches, armed for the oldest
            self._timer = self._loop.call_at(batch.due, self._look)

    def _look(self) -> None:
        once_read(self._loop, partial(self._give_up, self._loop.time()))

    def _give_up(self, now: float) -> None:
        self._timer = None
        while self._sent and self._sent[0].due <= now:
            batch = self._sent.popleft()
            batch.is_late = True
            self._count("late", batch.resolve(None))
        if self._sent:
            self._timer = self._loop.call_at(self._sent[0].due, self._look)

    def _answered(self, batch: Batch, reply: Reply) -> None:
        if not batch.is_late:
            self._sent.remove(batch)
        hits, misses, missed = 0, 0, "down"
        try:
            if not isinstance(reply, Exception):
                (hits, misses), missed = self._found(batch, reply), "miss"
        finally:
            if missed == "down":  # also if ``_parse`` raised, which ends the connection
                misses = batch.resolve(None)
            if not batch.is_late:
                self._count("hit", hits)
                self._count(missed, misses)
        if isinstance(reply, Exception):
            self._failed(reply)

    def _found(self, batch: Batch, values: list[bytes | None]) -> tuple[int, int]:
        hits = misses = 0
        for (key, waiters), packed in zip(batch.waiters.items(), values, strict=True):
            entry = None if packed is None else self._parse(key, packed)
            if entry is None:
                misses += len(waiters)
            else:
                hits += len(waiters)
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(entry)
        return hits, misses
