"""Near cache: finished answers in this process, within a limit in bytes.

Entries stand in the order of their puts, and the oldest entry makes room for a new one. Rows have
about the same TTL, so the oldest row is the next to expire. A genre's list or a negative entry may
expire earlier, so ``get`` looks at the time, too. At the default settings a live entry is evicted
only above some 8,500 fills/s, so a better choice of the victim would gain nothing.

Not thread-safe, because the near cache belongs to one event loop.
"""

import random
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cache.entry import Entry, together
from cache.keys import BY_QUERY, IDS_MAX, ROW, ROW_ROUTE, SEVERAL, route_of
from metrics import Publisher

LARGEST = 8
"""Do not keep an entry above an eighth of the limit, because it would evict too many others."""
NEGATIVE = 16
"""Negative entries take at most a sixteenth of the limit, so random ids do not evict the rows.
Above it a new negative entry is not kept."""
JITTER = 0.1
"""Shorten a TTL by up to this share, so entries of one moment do not expire in one moment."""

OVERHEAD_BYTES = 112 + 4 * 32 + 132
"""Bytes of an entry beside its values: the object, its four numbers, and its place in the
OrderedDict."""


def _cost_bytes(key: str, entry: Entry) -> int:
    """Return the bytes that the allocator takes for an entry.

    Each value takes a multiple of 16, and 8 bytes of malloc's own (about the share of pymalloc's
    pools, for small values).
    """
    values = (key, entry.etag, entry.body, entry.head)
    return OVERHEAD_BYTES + sum([sys.getsizeof(value) + 23 & -16 for value in values])


@dataclass(eq=False)
class Near:
    """Entries by key, each for at most ``ttl_s`` seconds, all in at most ``limit_bytes``.

    With a limit of 0 no entry is kept.

    ``render`` makes an entry's ``head``, once, at the put. ``clock`` is monotonic, ``wall`` is the
    clock of ``Entry.filled_at``, ``jitter`` draws from 0 to 1.
    """

    limit_bytes: int
    ttl_s: float
    render: Callable[[Entry], bytes] = lambda entry: b""
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self.enabled = self.limit_bytes > 0
        self.bytes = 0
        self.evictions = 0  # of live entries; removal of an expired entry is none
        self._negative_bytes = 0
        # a plain dict would search for its oldest entry, past a gap for each deleted entry
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._find = self._entries.get  # bound once, because a near hit is the hot path

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """Return the entry, which may be a negative one; None if there is no live entry."""
        entry = self._find(key)
        if entry is None:
            return None
        if entry.expires_at > self.clock():
            return entry
        self.remove(key)
        return None

    def several(self, target: str) -> Entry | None:
        """Return the rows of a target that begins with SEVERAL; None unless all rows are near."""
        ids = target[len(SEVERAL) :].split(",")
        if len(ids) > IDS_MAX or len(set(ids)) < len(ids):
            return None
        now, found = self.clock(), [self._find(ROW + video_id) for video_id in ids]
        rows = [row for row in found if row and row.etag and row.expires_at > now]
        if len(rows) < len(ids) or any(row.route != ROW_ROUTE for row in rows):
            return None
        entry = together(ids, rows)
        entry.route, entry.head = BY_QUERY, self.render(entry)
        return entry

    def put(self, key: str, entry: Entry) -> bool:
        """Keep the entry, under this one key, in place of the key's old entry.

        Return False if it is too large or too old, or if the cache is disabled; the entry is not
        kept then.
        """
        self.remove(key)  # even if the new entry is not kept, the old one is out of date
        ttl_s = self.ttl_s * (1 - JITTER * self.jitter())
        life_s = min(ttl_s, entry.left_s(self.wall()))
        if not self.enabled or life_s <= 0:
            return False
        now = self.clock()
        entry.expires_at = now + life_s
        entry.route = route_of(key)
        entry.head = self.render(entry) if entry.status == 200 else b""
        entry.cost_bytes = cost_bytes = _cost_bytes(key, entry)
        if cost_bytes > self.limit_bytes // LARGEST:
            return False
        if entry.status == 404:
            self._make_room(0, now)  # an expired negative entry gives its share back
            if self._negative_bytes + cost_bytes > self.limit_bytes // NEGATIVE:
                return False
            self._negative_bytes += cost_bytes
        self._make_room(cost_bytes, now)
        self.bytes += cost_bytes
        self._entries[key] = entry
        return True

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

    @property
    def state(self) -> str:
        """Return ``off`` with a limit of 0, ``down`` while disabled, else ``up``."""
        if not self.limit_bytes:
            return "off"
        return "up" if self.enabled else "down"

    def enable(self) -> None:
        """Keep entries again, from now on, unless the limit is 0."""
        self.enabled = self.limit_bytes > 0

    def disable(self) -> None:
        """Disable and clear the cache.

        No invalidation is received while it is disabled, so older entries must not survive until
        ``enable``.
        """
        self.enabled = False
        self.clear()

    def _make_room(self, cost_bytes: int, now: float) -> None:
        """Remove the oldest entries: each expired one, and live ones until the new entry fits."""
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            is_live = oldest.expires_at > now
            if is_live and self.bytes + cost_bytes <= self.limit_bytes:
                return
            self.evictions += is_live
            self.remove(key)


def near_metrics(near: Near, publisher: Publisher) -> None:
    """Add the numbers of ``near``. A metric that is set at each put would cost it a microsecond."""
    text = "Bytes of the near caches' entries, of at most NEAR_BYTES in each worker."
    publisher.gauge("content_near_bytes", text, lambda: near.bytes)
    publisher.gauge("content_near_entries", "Entries of the near caches.", near.__len__)
    text = "Entries that made room for others before they had expired."
    publisher.counter("content_near_evictions", text, lambda: near.evictions)
