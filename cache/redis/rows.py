"""Rows in Redis: reads that never raise, fills that need a lease, and intents that fence writes.

``scripts.py`` has the invariants. If Redis is away, slow or refuses, a read is a miss and a write
raises ``Unavailable``. Values and invalidations come on one connection, and ``on_value`` and
``on_invalidate`` are called while its bytes are parsed. So a value that was read before a write is
never kept near after the write's invalidation.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal

from prometheus_client import CollectorRegistry

from cache.entry import Entry
from cache.leases import Intent, Lease
from cache.redis.batch import Batches
from cache.redis.calls import Calls
from cache.redis.connection import Argument, Reply
from cache.redis.handshake import Session
from cache.redis.link import Identity, Link, Place
from cache.redis.metrics import RedisMetrics
from cache.redis.scripts import FILL, GRANTED, HELD, INTEND, LEASE, RELEASE, SETTLE, Script
from errors import Unavailable

_AWAY = "The cache is away, and a write without it could leave old rows behind; try again"
_NO_SESSION = Session("", "", tracking=False)
_DAMAGED = Lease("", "", granted=False, held=False)


class RedisRows:
    """Packed entries by key, at the master that ``place`` finds.

    ``identity`` names the store of the rows. A callable is asked at every connect and every second.
    A read later than ``deadline_s`` is a miss. A write without an intent after ``write_deadline_s``
    is refused. A command unanswered for ``hang_s`` ends the connection.

    ``on_value`` gets each fresh entry that is read while invalidations arrive. ``on_invalidate``
    gets each key whose value has changed or gone, or None for all keys. ``on_state`` gets whether
    invalidations arrive: first False, then each change.
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
        self._reads: Batches | None = None
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
        """Start to keep a connection in the background, and return at once."""
        self._on_state(False)
        self._link.open()

    async def close(self) -> None:
        """End the connection. Waiting reads and all later reads are misses."""
        await self._link.close()

    @property
    def state(self) -> Literal["up", "down"]:
        return "down" if self._reads is None else "up"

    @property
    def reason(self) -> str:
        """Return why Redis is down, or why it refuses fills and writes; empty if all is well."""
        return self._link.reason or self._calls.refusal

    @property
    def tracking(self) -> bool:
        """Return whether invalidations arrive."""
        return self._session.tracking

    async def get(self, key: str) -> Entry | None:
        """Return the entry, maybe past its TTL. Return None if it is absent, or Redis late or away.

        All gets of one turn of the event loop share one round trip.
        """
        asked = self.ask(key)
        return None if asked is None else await asked

    def ask(self, key: str) -> asyncio.Future[Entry | None] | None:
        """Do as ``get``, for a caller that is no coroutine. Return None if Redis is away."""
        if self._reads is None:
            self._metrics.count("down", 1)
            return None
        return self._reads.add(key)

    async def lease(
        self, key: str, *, replace: bool = False, deadline_s: float | None = None
    ) -> Entry | Lease | None:
        """Return the value, or a lease on the key if there is none. Return None if Redis is away or
        late; the caller then loads without a fill. With ``replace``, ask for a lease that allows to
        replace a value."""
        token, epoch = next(self._tokens), self._session.run

        def parse(reply: Reply) -> Entry | Lease:
            if isinstance(reply, bytes):
                return self._parse(key, reply) or _DAMAGED
            return Lease(token, epoch, reply == GRANTED, reply == HELD)

        def unclaimed(found: Entry | Lease) -> None:
            if isinstance(found, Lease):
                self.release(key, found)  # else other replicas would wait for its fill

        args = (token, self._lease_ms, int(replace))
        deadline_s = deadline_s or self._deadline_s
        found = await self._calls.start(
            LEASE, self._keys([key]), args, deadline_s, parse, unclaimed
        )
        return await self.lease(key, replace=True) if found is _DAMAGED else found

    def fill(self, key: str, lease: Lease, entry: Entry, keep_s: float) -> None:
        """Store ``entry`` for ``keep_s``, if ``lease`` still stands when Redis gets there. Nobody
        waits: later commands of this process follow it on the wire.

        A fill does not call ``on_value``: Redis also invalidates changes by our own scripts, so the
        value would leave the near cache at once. The next read brings the value near."""
        packed = entry.pack(self._session.clock_s)
        self._use(FILL, key, lease, packed, _ms(keep_s))

    def release(self, key: str, lease: Lease) -> None:
        """Give a granted lease back without a fill."""
        self._use(RELEASE, key, lease)

    def _use(self, script: Script, key: str, lease: Lease, *args: Argument) -> None:
        if lease.granted and lease.epoch == self._session.run:
            self._calls.tell(script, self._keys([key])[:2], (lease.token, *args))

    async def intend(self, keys: Sequence[str], *, may_be_late: bool = False) -> Intent:
        """Place an intent. From its return on no value of ``keys`` is in Redis or filled, until
        ``settle`` or until the intent expires. Raise Unavailable if the intent is not known to
        stand in time; the caller must not write then. An intent that stands only later is lifted
        again, unless it ``may_be_late``."""
        names, intent = list(keys), Intent(next(self._tokens), self._session.run)

        def unclaimed(_: bool) -> None:
            if not may_be_late:  # the writer has given up and will not write
                self._start_write(SETTLE, names, (intent.token,), self._write_deadline_s)

        if not await self._write(INTEND, names, (intent.token, self._intent_ms), unclaimed):
            raise Unavailable(_AWAY)
        return intent

    async def settle(self, keys: Sequence[str], intent: Intent) -> bool:
        """Delete ``keys`` and lift the intent, on the run of Redis that answers now. A newer run
        has no intent, but may have fills. Return False if that is not known to be done; then call
        again. Until then an old row may be filled as soon as the intent has expired or its Redis
        has restarted."""
        return await self._write(SETTLE, list(keys), (intent.token,))

    async def _write(
        self,
        script: Script,
        keys: Sequence[str],
        args: tuple[Argument, ...],
        unclaimed: Callable[[bool], None] = lambda _: None,
    ) -> bool:
        """Run a write's script. If the connection ends before the reply, run it again on the next
        connection; with the same token a second run changes nothing. Return False if Redis refuses,
        is late, or is away for the write's deadline."""
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
        """Invalidate the keys of this worker's write now, as the push comes after the reply."""
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
        self._reads = Batches(
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
