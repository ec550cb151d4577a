"""The read path through the layers of cache: near cache, then Redis, then one load from the store.

A load is single-flight in this process, and by its lease among all replicas. Its fill is stored
only while the lease stands.

One rule decides when a row, a list or the list of genres is served past its TTL:

1. The store is known to be down: serve the answer. Redis keeps it for ``STALE_S`` past its TTL.
2. The store is up, and the answer is at most ``GRACE_S`` past its TTL: serve the answer, and
   refresh it in the background. One replica at a time does that.
3. The store is up, and the answer is older: wait for the load. Serve the answer only if the load
   fails with one of ``FAILURES``.

The near cache serves no answer past its TTL. Without Redis the near cache is not told of writes by
other processes, and with Redis the answer comes from Redis.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from cache.entry import Entry
from cache.keys import is_list
from cache.near import Near
from cache.redis.absent import Rows
from cache.redis.scripts import Lease
from cache.singleflight import Flight, SingleFlight
from db.background import Background
from errors import Late, NotFound, Shed, Unavailable
from priority import urgent

Load = Callable[[], Awaitable[Entry]]

NEGATIVE_TTL_S = 5.0
LIST_TTL_S = 5.0
"""TTL of genre lists and of the list of genres."""
GRACE_S = 5.0
"""Together with ``LIST_TTL_S`` this bounds how late a list shows a loader's rows: within 10 s."""
FAILURES = (Late, Unavailable)
WAITS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)
PATIENCE_S = 0.05
"""How long a reader with a stale answer at hand waits for a fresh answer."""
LAST_RESORT_S = 0.45
"""How long to wait for Redis once the store has failed. By default this is the rest of
READ_DEADLINE_S after a whole STORE_DEADLINE_S."""


class Answer(NamedTuple):
    """An entry and its source.

    The source is ``near``, ``redis``, ``store``, ``collapsed`` (a joined load), or ``stale`` (from
    Redis, past its TTL).
    """

    entry: Entry
    layer: str


@dataclass(eq=False)
class Reads:
    """Reads by key.

    ``store_is_up`` tells whether a load can succeed. ``row_ttl_s`` is a row's TTL, less up to 10 %
    of jitter. Redis keeps a row for ``stale_s`` more.
    """

    near: Near
    redis: Rows
    store_is_up: Callable[[], bool]
    row_ttl_s: float
    stale_s: float

    def __post_init__(self) -> None:
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._refreshes = Background()

    async def cached(self, key: str) -> Answer | None:
        """Return the answer of the near cache or of Redis, or None.

        The entry may be negative, and stale while the store is down.
        """
        near = self.near.get(key)
        if near is not None:
            return Answer(near, "near")
        return self._of_redis(await self.redis.get(key))

    async def cached_all(self, keys: Sequence[str]) -> list[Answer | None]:
        """Return what ``cached`` returns for each key, after one round trip to Redis."""
        asked = [self.near.get(key) or self.redis.ask(key) for key in keys]
        return [
            Answer(each, "near")
            if isinstance(each, Entry)
            else self._of_redis(await each if each else None)
            for each in asked
        ]

    def _of_redis(self, entry: Entry | None) -> Answer | None:
        if entry is None:
            return None
        if entry.is_fresh():
            return Answer(entry, "redis")
        return None if self.store_is_up() else Answer(entry, "stale")

    async def loaded(self, key: str, load: Load) -> Answer:
        """Return a loaded entry, which may be negative, after ``cached`` found none."""
        while True:
            try:
                answer, joined = await self._flights.do(key, partial(self._load, key, load))
                break
            except Shed as shed:
                if shed.was_urgent or not urgent.get():
                    raise
                # the shed load was begun by a hover, so a click tries again
        return Answer(answer.entry, "collapsed") if joined and answer.layer == "store" else answer

    def forget(self, key: str) -> None:
        """Drop the near entry and detach a load under way, because a write has begun or ended."""
        self.near.remove(key)
        self._flights.forget(key)

    async def close(self) -> None:
        """Cancel refreshes under way. Their readers have stale answers."""
        await self._refreshes.close(0)

    async def _load(self, key: str, load: Load, flight: Flight) -> Answer:
        """Answer a miss.

        1. Ask Redis for the value or a lease. A fresh value is the answer.
        2. If the value is stale, take a lease to replace it. ``_renew`` answers within GRACE_S, or
           while the store is down.
        3. While another reader holds the lease, wait a moment and begin again, WAITS_S in all. That
           reader fills the value, or releases the lease if a write came or its load failed.
        4. Load from the store. Fill only with a granted lease.
        5. If the store fails, fall back to a stale value, or to the value of a Redis that was late.
           No fallback if a write came meanwhile, because the value may be older than the write.
        """
        stale: Entry | None = None
        for pause_s in (*WAITS_S, 0.0):
            lease = await self.redis.lease(key)
            if isinstance(lease, Entry):
                if lease.is_fresh():
                    return Answer(lease, self.redis.layer)
                stale, lease = lease, await self.redis.lease(key, replace=True)
                assert not isinstance(lease, Entry)
                if stale.left_s(time.time()) >= -GRACE_S or not self.store_is_up():
                    return await self._renew(key, load, stale, lease)
            if lease is None or not lease.held:
                break
            await asyncio.sleep(pause_s)
        assert not isinstance(lease, Entry)
        try:
            return Answer(await self._fetch(key, load, lease, flight), "store")
        except BaseException as error:
            if lease is not None:
                self.redis.release(key, lease)  # so that no replica waits for this fill
            if not isinstance(error, FAILURES) or not flight.current:
                raise
            found = stale or (await self._waited(key) if lease is None else None)
            if found is None:
                raise
            return Answer(found, "redis" if found.is_fresh() else "stale")

    async def _waited(self, key: str) -> Entry | None:
        """Ask a Redis that was late once more, because the store has failed. Return its value."""
        found = await self.redis.lease(key, deadline_s=LAST_RESORT_S)
        if isinstance(found, Entry):
            return found
        if found is not None:
            self.redis.release(key, found)
        return None

    async def _fetch(self, key: str, load: Load, lease: Lease | None, flight: Flight) -> Entry:
        """Load an entry, and start its fill."""
        try:
            entry = await load()
        except NotFound:
            entry = Entry.absent()
        if entry.status == 404:
            ttl_s = NEGATIVE_TTL_S
        # lists filled together must not expire together, or every home page would wait for some
        elif is_list(key):
            ttl_s = LIST_TTL_S * random.uniform(0.5, 1.0)
        else:
            ttl_s = self.row_ttl_s * random.uniform(0.9, 1.0)
        entry.ttl_s = ttl_s
        if lease is None or not lease.granted:
            return entry
        if flight.current:
            keep_s = ttl_s + self.stale_s if entry.status == 200 else ttl_s
            self.redis.fill(key, lease, entry, keep_s)
        else:  # a write may have changed the row, and the next reader must not wait for a fill
            self.redis.release(key, lease)
        return entry

    async def _renew(self, key: str, load: Load, stale: Entry, lease: Lease | None) -> Answer:
        """Return a fresh entry if it comes within PATIENCE_S, else the stale entry.

        At most one replica asks the store. A failed refresh keeps its lease, which delays the next
        refresh.
        """
        if lease is not None and lease.granted:
            refresh = self._refreshes.spawn(self._refresh(key, load, lease))
            await asyncio.wait([refresh], timeout=PATIENCE_S)
            if refresh.done() and not refresh.cancelled() and not refresh.exception():
                return Answer(refresh.result(), "store")
        return Answer(stale, "stale")

    async def _refresh(self, key: str, load: Load, lease: Lease) -> Entry:
        urgent.set(False)  # in this task, so that readers without an answer go first
        return await self._fetch(key, load, lease, Flight())
