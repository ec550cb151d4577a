"""Rows in Redis: reads that never raise, fills that need a lease, and intents that fence writes.

``scripts.py`` has the invariants. If Redis is away, slow or refuses, a read is a miss and a write
raises ``Unavailable``.

The near cache is kept coherent while the bytes of the one connection are parsed, so in the order in
which Redis wrote replies and invalidations. A later invalidation removes a value that was put near,
and an earlier invalidation does not. While invalidations do not arrive, the near cache is disabled
and empty.
"""

import asyncio
import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cache.entry import Entry
from cache.near import Near
from cache.redis import scripts
from cache.redis.calls import Calls
from cache.redis.connection import Argument, Reply
from cache.redis.link import Identity, Link, Place
from cache.redis.metrics import RedisMetrics
from cache.redis.scripts import GRANTED, HELD, Intent, Lease, Script
from errors import Unavailable
from metrics import Publisher

LEASE_MS, INTENT_MS = 2_000, 10_000

_AWAY = "The cache is away, and a write without it could leave old rows behind; try again"
_DAMAGED = Lease("", granted=False, held=False)


@dataclass(eq=False)
class RedisRows:
    """Packed entries by key, at the master that ``place`` finds.

    ``identity`` returns the name of the store of the rows, at every connect and every second. A
    read later than ``deadline_s`` is a miss. A write without an intent after ``write_deadline_s``
    is refused. A heartbeat unanswered for ``hang_s`` ends the connection.

    ``near`` gets each fresh entry that is read while invalidations arrive, and loses each key whose
    value has changed or gone.
    """

    layer = "redis"

    place: Place
    identity: Identity
    near: Near
    publisher: Publisher = field(default_factory=Publisher)
    deadline_s: float = 0.02
    write_deadline_s: float = 1.0
    hang_s: float = 0.5
    handshake_s: float = 1.0

    def __post_init__(self) -> None:
        self._metrics = RedisMetrics(self.publisher)
        self._tokens = map(f"{secrets.token_hex(8)}-{{}}".format, itertools.count())
        self._link = Link(
            self.place, self.identity, self._pushed, self._changed, self.hang_s, self.handshake_s
        )
        self._calls = Calls(self._link, self.deadline_s, self._parse, self._metrics)

    async def open(self) -> None:
        """Start to keep a connection in the background, and return at once."""
        self.near.disable()
        self._link.open()

    async def close(self) -> None:
        """End the connection. Waiting reads and all later reads are misses."""
        await self._link.close()

    @property
    def state(self) -> Literal["up", "down"]:
        return "down" if self._link.session.connection is None else "up"

    @property
    def reason(self) -> str:
        """Return why Redis is down, or why it refuses fills and writes; empty if all is well."""
        return self._link.reason or self._calls.refusal

    async def get(self, key: str) -> Entry | None:
        """Return the entry, maybe past its TTL. Return None if it is absent, or Redis late or away.

        All gets of one turn of the event loop share one round trip.
        """
        return await self.ask(key)

    def ask(self, key: str) -> asyncio.Future[Entry | None]:
        """Do as ``get``, for a caller that is no coroutine."""
        return self._calls.read(key)

    async def lease(
        self, key: str, *, replace: bool = False, deadline_s: float | None = None
    ) -> Entry | Lease | None:
        """Return the value, or a lease on the key if there is none.

        Return None if Redis is away or late; the caller then loads without a fill. With
        ``replace``, ask for a lease that allows to replace a value.
        """
        token = next(self._tokens)

        def parse(reply: Reply, is_late: bool) -> Entry | Lease:
            if isinstance(reply, bytes):
                return self._parse(key, reply) or _DAMAGED
            lease = Lease(token, reply == GRANTED, reply == HELD)
            if is_late:
                self.release(key, lease)  # else other replicas would wait for its fill
            return lease

        args = (token, LEASE_MS, int(replace))
        deadline_s = deadline_s or self.deadline_s
        found = await self._calls.start(scripts.LEASE, self._names(key), args, deadline_s, parse)
        return await self.lease(key, replace=True) if found is _DAMAGED else found

    def fill(self, key: str, lease: Lease, entry: Entry, keep_s: float) -> None:
        """Store ``entry`` for ``keep_s``, if the granted ``lease`` stands when Redis gets there.

        Nobody waits: later commands of this process follow it on the wire.

        A fill does not put the value near, because Redis also invalidates changes by our own
        scripts, so the value would leave at once. The next read brings the value near.
        """
        packed, keep_ms = entry.pack(self._link.session.clock_s), max(1, round(keep_s * 1000))
        if not self._calls.send(scripts.FILL, self._names(key)[:2], (lease.token, packed, keep_ms)):
            self.release(key, lease)

    def release(self, key: str, lease: Lease) -> None:
        """Give a granted lease back without a fill."""
        if lease.granted:
            self._calls.send(scripts.RELEASE, self._names(key)[:2], (lease.token,))

    async def intend(self, keys: Sequence[str], *, may_be_late: bool = False) -> Intent:
        """Place an intent.

        From its return on no value of ``keys`` is in Redis or filled, until ``settle`` or until the
        intent expires. Raise Unavailable if the intent is not known to stand in time; the caller
        must not write then. An intent that stands only later is lifted again, unless it
        ``may_be_late``.
        """
        intent = next(self._tokens)
        if not await self._write(
            scripts.INTEND, keys, intent, INTENT_MS, lift_if_late=not may_be_late
        ):
            raise Unavailable(_AWAY)
        return intent

    async def settle(self, keys: Sequence[str], intent: Intent) -> bool:
        """Delete ``keys`` and lift the intent, on the run of Redis that answers now.

        A newer run has no intent, but may have fills. Return False if that is not known to be done;
        then call again. Until then an old row may be filled as soon as the intent has expired or
        its Redis has restarted.
        """
        return await self._write(scripts.SETTLE, keys, intent)

    async def _write(
        self, script: Script, keys: Sequence[str], *args: Argument, lift_if_late: bool = False
    ) -> bool:
        """Run a write's script.

        If the connection ends before the reply, run it again on the next connection; with the same
        token a second run changes nothing. Return False if Redis refuses, is late, or is away for
        the write's deadline.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self.write_deadline_s

        def parse(reply: Reply, is_late: bool) -> bool:
            if is_late and lift_if_late:  # the writer has given up and will not write
                self._calls.send(scripts.SETTLE, names, (args[0], reign))
            return True

        while (left_s := until - loop.time()) > 0 and await self._link.up_within(left_s):
            session, left_s = self._link.session, until - loop.time()
            names = [*itertools.chain.from_iterable(map(self._names, keys)), session.marker]
            reign = session.replication_id
            if await self._calls.start(script, names, (*args, reign), left_s, parse):
                return True
            if session is self._link.session:
                return False
        return False

    def _names(self, key: str) -> tuple[str, str, str]:
        """Return the names in Redis of a key's value, lease and intents."""
        prefix = self._link.session.prefix
        return f"{prefix}v:{key}", f"{prefix}l:{key}", f"{prefix}i:{key}"

    def _parse(self, key: str, packed: bytes) -> Entry | None:
        session = self._link.session
        try:
            entry = Entry.unpack(packed, session.clock_s)
        except (ValueError, OverflowError):
            return None
        if self.near.enabled and session.tracking and entry.is_fresh():
            self.near.put(key, entry)
        return entry

    def _pushed(self, push: list[Any]) -> None:
        if push[0] != b"invalidate":
            return
        if push[1] is None:  # FLUSHALL
            self._metrics.invalidations.inc()
            self.near.clear()
            return
        session = self._link.session
        values, marker = f"{session.prefix}v:".encode(), session.marker.encode()
        self._metrics.invalidations.inc(len(push[1]))
        for name in push[1]:
            if name.startswith(values):
                self.near.remove(name[len(values) :].decode(errors="replace"))
            elif name != marker:
                self._link.fail("writes go on under another replication ID")

    def _changed(self) -> None:
        session = self._link.session
        self._metrics.up.set(session.connection is not None)
        if session.connection is None:
            self.near.disable()
            return
        self._metrics.connections.inc()
        if session.tracking:
            self.near.enable()
