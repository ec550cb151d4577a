"""The near cache: finished answers in this process, bounded by the bytes they really take.

What stays is decided by SIEVE (Zhang et al., "SIEVE is Simpler than LRU", NSDI '24): entries stand
in the order of their arrival, a hit sets a flag and moves nothing, and a hand walks from the oldest
to the newest, lets flagged entries stand (once) and evicts the first other one. What a crawler asks
for once falls to the hand without pushing out what is asked for again. With TTLs of seconds that is
not enough: what expired behind the hand would stand there and make SIEVE worse than LRU. The order
is also that of expiry, so the oldest goes first once it has expired. ``bench/near_policy.py`` has
the numbers beside LRU's, FIFO's and S3-FIFO's.

Negative entries (404) stand in a queue of their own that takes at most a sixteenth of the room, so
random ids push out each other and not the rows. Not thread-safe: it belongs to one event loop.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from cache.entry import Entry

LARGEST = 8
"""An entry above an eighth of its room is not kept: it would cost too many others."""
NEGATIVE = 16
"""Negative entries take at most a sixteenth of the limit."""
JITTER = 0.1
"""Up to this share of a TTL is taken off, so what was filled together does not expire together."""

OVERHEAD_BYTES = 128 + 3 * 32 + 88
"""Of an entry beside its bytes: the object, its three numbers, and its place in the index, which
takes 22-44 bytes while a dict fills and 44-88 once it has seen deletions."""


def _allocated(value: bytes | str) -> int:
    """What an allocation takes: multiples of 16, and 8 of malloc's own (pymalloc's share, for
    small ones, is about that)."""
    return sys.getsizeof(value) + 23 & -16


class NearEntry:
    """An ``Entry`` as it is kept here: what an answer needs, and its place in the queue.

    ``head`` is what ``render`` made of the entry, empty for a negative one; ``route`` the label of
    its metrics; ``expires_at`` a moment of the cache's clock.
    """

    __slots__ = (
        "body",
        "cost_bytes",
        "etag",
        "expires_at",
        "filled_at",
        "head",
        "key",
        "newer",
        "older",
        "route",
        "status",
        "visited",
    )
    older: NearEntry
    newer: NearEntry

    def __init__(self, key: str, entry: Entry, route: str, head: bytes, expires_at: float) -> None:
        self.key = key
        self.status = entry.status
        self.etag = entry.etag
        self.body = entry.body
        self.filled_at = entry.filled_at
        self.route = route
        self.head = head
        self.expires_at = expires_at
        self.visited = False
        values = (key, self.etag, self.body, head)
        self.cost_bytes = OVERHEAD_BYTES + sum(_allocated(value) for value in values)


class _Sieve:
    """A ring from the oldest entry to the newest, closed by ``_end``; ``_hand`` is the next entry
    to be looked at."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._end = end = NearEntry("", Entry.absent(), "", b"", 0.0)
        self._hand = end.older = end.newer = end

    def append(self, entry: NearEntry) -> None:
        end = self._end
        entry.older, entry.newer = end.older, end
        end.older.newer = end.older = entry
        self.bytes += entry.cost_bytes

    def remove(self, entry: NearEntry) -> None:
        if entry is self._hand:
            self._hand = entry.newer
        entry.older.newer, entry.newer.older = entry.newer, entry.older
        del entry.older, entry.newer  # a neighbour kept alive would keep its own neighbours alive
        self.bytes -= entry.cost_bytes

    def victim(self, now: float) -> NearEntry:
        """Whom to evict; the ring must not be empty. The oldest is the first to expire, but for
        jitter, so what has expired goes before anything that could still answer."""
        oldest = self._end.newer
        if oldest.expires_at <= now:
            return oldest
        hand = self._hand
        while hand.visited or hand is self._end:
            hand.visited = False
            hand = hand.newer
        self._hand = hand
        return hand


class Near:
    """Answers by key for at most ``ttl_s`` seconds, in at most ``limit_bytes``; 0 keeps nothing.

    ``render`` makes an answer's ``head``, once, when it is put. ``clock`` is monotonic, ``wall`` is
    the clock of ``Entry.filled_at``, ``jitter`` draws from 0 to 1.
    """

    def __init__(
        self,
        limit_bytes: int,
        ttl_s: float,
        *,
        negative_ttl_s: float = 5.0,
        render: Callable[[Entry], bytes] = lambda entry: b"",
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.enabled = True
        self.puts = 0
        self.evictions = 0  # of entries that could still have answered
        self.expirations = 0  # noticed: by a get, or when room was needed
        self._ttl_s = ttl_s
        self._negative_ttl_s = min(negative_ttl_s, ttl_s)  # the bound is that of rows, too
        self._render = render
        self._clock = clock
        self._wall = wall
        self._jitter = jitter
        self._index: dict[str, NearEntry] = {}
        self._absent = _Sieve(limit_bytes // NEGATIVE)
        self._rows = _Sieve(limit_bytes)

    def __len__(self) -> int:
        return len(self._index)

    @property
    def bytes(self) -> int:
        return self._rows.bytes + self._absent.bytes

    def get(self, key: str) -> NearEntry | None:
        """The entry, a negative one too; None: not there, expired, or the cache is off."""
        entry = self._index.get(key)
        if entry is None:
            return None
        now = self._clock()
        if entry.expires_at > now:
            entry.visited = True
            return entry
        self.expirations += 1
        self._drop(entry)
        return None

    def put(self, key: str, entry: Entry, route: str) -> NearEntry | None:
        """Keeps the entry in place of what the key had; None when it is not kept: too large, too
        old, or the cache is off."""
        self.remove(key)  # even if the new one is not kept, the old one is out of date
        life_s = self._life_s(entry)
        if not self.enabled or life_s <= 0:
            return None
        now = self._clock()
        head = self._render(entry) if entry.status == 200 else b""
        near = NearEntry(key, entry, route, head, now + life_s)
        queue = self._queue(near)
        if near.cost_bytes > queue.limit_bytes // LARGEST:
            return None
        self._make_room(queue, near.cost_bytes, now)
        queue.append(near)
        self._index[key] = near
        self.puts += 1
        return near

    def remove(self, key: str) -> None:
        entry = self._index.get(key)
        if entry is not None:
            self._drop(entry)

    def clear(self) -> None:
        for entry in list(self._index.values()):
            self._drop(entry)
        self._index.clear()  # an emptied dict keeps its table

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        """Off until ``enable``, and empty: what is missed meanwhile must not be found later."""
        self.enabled = False
        self.clear()

    def _life_s(self, entry: Entry) -> float:
        ttl_s = self._ttl_s if entry.status == 200 else self._negative_ttl_s
        life_s = ttl_s * (1 - JITTER * self._jitter())
        return min(life_s, entry.left_s(self._wall()))

    def _queue(self, entry: NearEntry) -> _Sieve:
        return self._rows if entry.status == 200 else self._absent

    def _make_room(self, queue: _Sieve, cost_bytes: int, now: float) -> None:
        while queue.bytes + cost_bytes > queue.limit_bytes:
            self._evict(queue.victim(now), now)
        while self.bytes + cost_bytes > self._rows.limit_bytes:
            self._evict(self._rows.victim(now), now)

    def _evict(self, entry: NearEntry, now: float) -> None:
        if entry.expires_at > now:
            self.evictions += 1
        else:
            self.expirations += 1
        self._drop(entry)

    def _drop(self, entry: NearEntry) -> None:
        del self._index[entry.key]
        self._queue(entry).remove(entry)
