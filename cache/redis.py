"""Rows in Redis: reads that never raise, fills that only stand while their lease does, and the
intents that fence a write (``scripts.py`` has the invariants).

Redis gone, slow or refusing is a miss for a read and ``Unavailable`` for a write. Values and
invalidations come on one connection, and ``on_value`` and ``on_invalidate`` are called while it is
parsed: so a value that was read before a write is never kept near after the write's invalidation.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from cache.batch import Reads
from cache.calls import Calls
from cache.connection import Argument, Reply
from cache.entry import Entry
from cache.handshake import Session
from cache.leases import Intent, Lease
from cache.link import Identity, Link, Place
from cache.redis_metrics import RedisMetrics
from cache.scripts import FILL, GRANTED, HELD, INTEND, LEASE, RELEASE, SETTLE, Script
from errors import Unavailable

_AWAY = "The cache is away, and a write without it could leave old rows behind; try again"
_NO_SESSION = Session("", "", tracking=False)
_DAMAGED = Lease("", "", granted=False, held=False)


class RedisRows:
    """Packed entries by key, at the master that ``place`` finds. ``identity`` names the store that
    the rows are of; a callable is asked at every connect, and every second. A read later than
    ``deadline_s`` is a miss, an intent that does not stand within ``write_deadline_s`` is refused,
    a command unanswered for ``hang_s`` ends the connection.

    ``on_value``: a value was read while invalidations arrive. ``on_invalidate``: a key's value is
    gone or another one; None: all are. ``on_state``: whether invalidations arrive; False at first,
    then each change.
    """

    def __init__(
        self,
        place: Place,
        identity: Identity,
        *,
        on_value: Callable[[str, Entry], None] = lambda key, entry: None,
        on_invalidate: Callable[[str | None], None] = lambda key: None,
        on_state: Callable[[bool], None] = lambda is_coherent: None,
        registry: CollectorRegistry | None = None,
        deadline_s: float = 0.02,
        write_deadline_s: float = 1.0,
        hang_s: float = 0.5,
        handshake_s: float = 1.0,
        lease_s: float = 2.0,
        intent_s: float = 10.0,
    ) -> None:
        self._on_value, self._on_invalidate = on_value, on_invalidate
        self._on_state = on_state
        self._deadline_s, self._write_deadline_s = deadline_s, write_deadline_s
        self._lease_ms, self._intent_ms = _ms(lease_s), _ms(intent_s)
        self._metrics = RedisMetrics(registry)
        self._session = _NO_SESSION
        self._reads: Reads | None = None
        process = secrets.token_hex(8)
        self._tokens = (f"{process}-{number}" for number in itertools.count())
        self._link = Link(
            place,
            identity,
            on_push=self._pushed,
            on_state=self._changed,
            hang_s=hang_s,
            handshake_s=handshake_s,
        )
        self._calls = Calls(self._link, self._metrics)

    async def open(self) -> None:
        """Returns at once; the connection is made, and made again, in the background."""
        self._on_state(False)
        self._link.open()

    async def close(self) -> None:
        """Reads that wait are misses, and so are all later ones."""
        await self._link.close()

    @property
    def state(self) -> Literal["up", "down"]:
        return "down" if self._reads is None else "up"

    @property
    def reason(self) -> str:
        """Why it is down, or up but refusing fills and writes; empty when all is well."""
        return self._link.reason or self._calls.refusal

    @property
    def tracking(self) -> bool:
        """Whether invalidations arrive."""
        return self._session.tracking

    async def get(self, key: str) -> Entry | None:
        """None: absent, late or away. All gets of one turn of the loop are one round trip."""
        asked = self.ask(key)
        return None if asked is None else await asked

    def ask(self, key: str) -> asyncio.Future[Entry | None] | None:
        """``get`` for a caller that is no coroutine; None: away."""
        if self._reads is None:
            self._metrics.count("down", 1)
            return None
        return self._reads.add(key)

    async def lease(
        self, key: str, *, replace: bool = False, deadline_s: float | None = None
    ) -> Entry | Lease | None:
        """The value, or a lease on it; None when Redis is away or late: load and do not fill.
        ``replace``: a lease to put another value in the place of one that is there."""
        token, epoch = next(self._tokens), self._session.run

        def parse(reply: Reply) -> Entry | Lease:
            if isinstance(reply, bytes):
                return self._parse(key, reply) or _DAMAGED
            return Lease(token, epoch, reply == GRANTED, reply == HELD)

        def unclaimed(found: Entry | Lease) -> None:
            if isinstance(found, Lease):
                self.release(key, found)  # others would wait for its fill

        args = (token, self._lease_ms, int(replace))
        deadline_s = deadline_s or self._deadline_s
        found = await self._calls.start(
            LEASE, self._keys([key]), args, deadline_s, parse, unclaimed
        )
        return await self.lease(key, replace=True) if found is _DAMAGED else found

    async def fill(self, key: str, lease: Lease, entry: Entry, keep_s: float) -> bool:
        """Whether it is known to be stored; one that is late may be stored all the same. Not an
        ``on_value``: Redis invalidates what a script of ours changes for us too, so the value would
        be gone from near at once. The next read brings it there."""
        started = self.start_fill(key, lease, entry, keep_s)
        return started is not None and bool(await started)

    def start_fill(
        self, key: str, lease: Lease, entry: Entry, keep_s: float
    ) -> asyncio.Future[bool | None] | None:
        """``fill`` for who need not wait: what this process asks next is behind it on the wire."""
        if not lease.granted or lease.epoch != self._session.run:
            return None
        keys, args = (
            self._keys([key])[:2],
            (lease.token, entry.pack(self._session.clock_s), _ms(keep_s)),
        )
        return self._calls.start(FILL, keys, args, self._deadline_s, bool)

    def release(self, key: str, lease: Lease) -> None:
        """Gives a granted lease back, unfilled."""
        if lease.granted and lease.epoch == self._session.run:
            keys = self._keys([key])[:2]
            self._calls.start(RELEASE, keys, (lease.token,), self._deadline_s, bool)

    async def intend(self, keys: Sequence[str], *, may_be_late: bool = False) -> Intent:
        """From its return on, nothing of ``keys`` is in Redis nor filled until ``settle``, or until
        the intent expires. Raises Unavailable when it cannot be placed: do not write then. One that
        is placed after that is lifted again, unless it ``may_be_late``."""
        names, intent = list(keys), Intent(next(self._tokens), self._session.run)

        def unclaimed(_: bool) -> None:
            if not may_be_late:  # the writer has given up and will not write
                self._start_write(SETTLE, names, (intent.token,), self._write_deadline_s)

        if not await self._write(INTEND, names, (intent.token, self._intent_ms), unclaimed):
            raise Unavailable(_AWAY)
        return intent

    async def settle(self, keys: Sequence[str], intent: Intent) -> bool:
        """Deletes ``keys`` and lifts the intent, on whichever run of Redis answers now: on a newer
        one there is no intent, but there may be fills. False: not known to be done, so call it
        again; until then an old row may be filled as soon as the intent has expired or its Redis
        has restarted."""
        return await self._write(SETTLE, list(keys), (intent.token,))

    async def _write(
        self,
        script: Script,
        keys: Sequence[str],
        args: tuple[Argument, ...],
        unclaimed: Callable[[bool], None] = lambda _: None,
    ) -> bool:
        """Run a write's script, and run it again on the next connection if its own ends before the
        reply: with the same token that changes nothing. Return False if Redis refuses, is late, or
        is away for the write's deadline."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._write_deadline_s
        while (left_s := until - loop.time()) > 0 and await self._link.up_within(left_s):
            connection, left_s = self._link.connection, until - loop.time()
            if await self._start_write(script, keys, args, left_s, unclaimed):
                return True
            if connection is not None and connection is self._link.connection:
                return False
        return False

    def _start_write(
        self,
        script: Script,
        keys: Sequence[str],
        args: tuple[Argument, ...],
        deadline_s: float,
        unclaimed: Callable[[bool], None] = lambda _: None,
    ) -> asyncio.Future[bool | None]:
        def parse(reply: Reply) -> bool:
            self._deleted(keys)
            return True

        names = [*self._keys(keys), self._session.marker]
        args = (*args, self._session.replication_id)
        return self._calls.start(script, names, args, deadline_s, parse, unclaimed)

    def _keys(self, keys: Sequence[str]) -> list[str]:
        prefix = self._session.prefix
        return [f"{prefix}{kind}:{key}" for key in keys for kind in "vli"]

    def _parse(self, key: str, packed: bytes) -> Entry | None:
        try:
            entry = Entry.unpack(packed, self._session.clock_s)
        except (ValueError, OverflowError):
            return None
        if self._session.tracking and entry.is_fresh():
            self._on_value(key, entry)
        return entry

    def _deleted(self, keys: Sequence[str]) -> None:
        """Whoever wrote sees it at once: the push comes later than the reply."""
        for key in keys:
            self._on_invalidate(key)

    def _pushed(self, push: list[Any]) -> None:
        if push[0] != b"invalidate":
            return
        if push[1] is None:  # FLUSHALL
            self._metrics.invalidations.inc()
            self._on_invalidate(None)
            return
        skip = len(self._session.prefix) + len("v:")
        reigns, marker = self._session.reigns.encode(), self._session.marker.encode()
        self._metrics.invalidations.inc(len(push[1]))
        for name in push[1]:
            if not reigns or not name.startswith(reigns):
                self._on_invalidate(name[skip:].decode(errors="replace"))
            elif name != marker:
                self._link.fail("writes go on under another replication ID")

    def _changed(self, session: Session | None) -> None:
        connection = self._link.connection
        if session is None or connection is None:
            self._reads, self._session = None, _NO_SESSION
            self._metrics.up.set(0)
            self._on_state(False)
            return
        self._session = session
        self._reads = Reads(
            connection,
            f"{session.prefix}v:",
            self._deadline_s,
            self._parse,
            self._calls.read_failed,
            self._metrics.count,
        )
        self._metrics.up.set(1)
        self._metrics.connections.inc()
        self._on_state(session.tracking)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
