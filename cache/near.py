"""Near cache: finished answers in this process, within a limit in bytes.

Entries stand in the order of their puts. All have about the same TTL, so the oldest entry is the
next to expire, and it makes room for a new one. At the default settings a live entry is evicted
only above some 8,800 fills/s: a more refined order of eviction would decide nothing.

Not thread-safe, because the near cache belongs to one event loop.
"""

from __future__ import annotations

import random
import sys
import time
from collections import OrderedDict
from collections.abc import Callable

from cache.entry import Entry

LARGEST = 8
"""Do not keep an entry above an eighth of the limit: it would evict too many other entries."""
NEGATIVE = 16
"""Negative entries take at most a sixteenth of the limit, so random ids do not evict the rows."""
JITTER = 0.1
"""Shorten a TTL by up to this share, so entries of one moment do not expire in one moment."""

OVERHEAD_BYTES = 96 + 3 * 32 + 132
"""Bytes of an entry beside its values: the object, its three numbers, and its place in the
OrderedDict."""


def _allocated(value: bytes | str) -> int:
    """Return the bytes that the allocator takes for ``value``: a multiple of 16, and 8 bytes of
    malloc's own (about the share of pymalloc's pools, for small values)."""
    return sys.getsizeof(value) + 23 & -16


class NearEntry:
    """An ``Entry`` as it is kept here, with the values that an answer needs.

    ``head`` is the result of ``render``, empty for a negative entry; ``route`` the label of its
    metrics; ``expires_at`` a moment of the cache's clock.
    """

    __slots__ = ("body", "cost_bytes", "etag", "expires_at", "filled_at", "head", "route", "status")

    def __init__(self, key: str, entry: Entry, route: str, head: bytes, expires_at: float) -> None:
        self.status = entry.status
        self.etag = entry.etag
        self.body = entry.body
        self.filled_at = entry.filled_at
        self.route = route
        self.head = head
        self.expires_at = expires_at
        values = (key, self.etag, self.body, head)
        self.cost_bytes = OVERHEAD_BYTES + sum(_allocated(value) for value in values)


class Near:
    """Entries by key, each for at most ``ttl_s`` seconds, in at most ``limit_bytes``; a limit of 0
    keeps nothing.

    ``render`` makes an answer's ``head``, once, at the put. ``clock`` is monotonic, ``wall`` is
    the clock of ``Entry.filled_at``, ``jitter`` draws from 0 to 1.
    """

    def __init__(
        self,
        limit_bytes: int,
        ttl_s: float,
        *,
        render: Callable[[Entry], bytes] = lambda entry: b"",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.enabled = True
        self.bytes = 0
        self.evictions = 0  # of live entries; removal of an expired entry is none
        self._limit_bytes = limit_bytes
        self._ttl_s = ttl_s
        self._render = render
        self._clock = clock
        self._wall = wall
        self._jitter = jitter
        self._negative_bytes = 0
        # a plain dict would look for its oldest entry among all that were deleted before it
        self._entries: OrderedDict[str, NearEntry] = OrderedDict()
        self._find = self._entries.get  # bound once: this is most of a get

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> NearEntry | None:
        """Return the entry, which may be a negative one; None if there is no live entry."""
        entry = self._find(key)
        if entry is None:
            return None
        if entry.expires_at > self._clock():
            return entry
        self.remove(key)
        return None

    def put(self, key: str, entry: Entry, route: str) -> NearEntry | None:
        """Keep the entry in place of the key's old one. Return None if it is not kept: it is too
        large or too old, negative entries have used their share, or the cache is disabled."""
        self.remove(key)  # even if the new entry is not kept, the old one is out of date
        ttl_s = self._ttl_s * (1 - JITTER * self._jitter())
        life_s = min(ttl_s, entry.left_s(self._wall()))
        if not self.enabled or life_s <= 0:
            return None
        now = self._clock()
        head = self._render(entry) if entry.status == 200 else b""
        near = NearEntry(key, entry, route, head, now + life_s)
        if near.cost_bytes > self._limit_bytes // LARGEST:
            return None
        self._make_room(near.cost_bytes, now)
        if near.status == 404:
            if self._negative_bytes + near.cost_bytes > self._limit_bytes // NEGATIVE:
                return None
            self._negative_bytes += near.cost_bytes
        self.bytes += near.cost_bytes
        self._entries[key] = near
        return near

    def remove(self, key: str) -> None:
        """Remove the key's entry, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.cost_bytes
            if entry.status == 404:
                self._negative_bytes -= entry.cost_bytes

    def clear(self) -> None:
        """Remove all entries."""
        self._entries.clear()
        self.bytes = self._negative_bytes = 0

    def enable(self) -> None:
        """Keep entries again, from now on."""
        self.enabled = True

    def disable(self) -> None:
        """Disable and clear the cache. No invalidation is received while it is disabled, so older
        entries must not survive until ``enable``."""
        self.enabled = False
        self.clear()

    def _make_room(self, cost_bytes: int, now: float) -> None:
        """Remove the oldest entries: each that has expired, and live ones until the cost fits."""
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            is_live = oldest.expires_at > now
            if is_live and self.bytes + cost_bytes <= self._limit_bytes:
                return
            self.evictions += is_live
            self.remove(key)
