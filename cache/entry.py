"""A finished answer: what every layer of the cache keeps, and what goes over the wire.

A hit and a miss are the same bytes because both are one of these. ``filled_at`` is when the store
was read, in seconds since 1970 by this machine's clock: the start of ``Age``.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache.near import NearEntry

ABSENT = b'{"status":"failed","message":"Not Found"}'


DATA = b'{"status":"success","data":'
"""How the body of every entry that is not absent begins; it ends with one brace."""


class Entry:
    """``etag`` includes its quotes and is empty for an absent row: a negative entry, a 404.

    ``ttl_s`` says how long after ``filled_at`` it is fresh; ``staleness.py`` says when it answers
    past that. None: as long as a layer keeps it. Replicas share ``filled_at`` by Redis' clock.
    """

    __slots__ = ("body", "etag", "filled_at", "ttl_s")

    def __init__(
        self, body: bytes, etag: bytes, filled_at: float, ttl_s: float | None = None
    ) -> None:
        self.body = body
        self.etag = etag
        self.filled_at = filled_at
        self.ttl_s = ttl_s

    @classmethod
    def absent(cls) -> Entry:
        """A negative entry, read now."""
        return cls(ABSENT, b"", time.time())

    def left_s(self, now: float) -> float:
        """For how long it is still fresh at ``now``, by the clock of ``filled_at``; negative: for
        how long it has been stale."""
        if self.ttl_s is None:
            return math.inf
        return min(self.ttl_s, self.filled_at + self.ttl_s - now)

    def is_fresh(self) -> bool:
        return self.ttl_s is None or self.filled_at + self.ttl_s >= time.time()

    @property
    def status(self) -> int:
        return 200 if self.etag else 404

    def pack(self, clock_s: float = 0.0) -> bytes:
        """The bytes that Redis keeps, times in ms by its clock, which is ``clock_s`` ahead of this
        machine's; ``unpack`` is its inverse."""
        body = self.body if self.etag else b""
        return b"%d %d %b\n%b" % (
            (self.filled_at + clock_s) * 1000,
            (self.ttl_s or 0) * 1000,
            self.etag,
            body,
        )

    @classmethod
    def unpack(cls, packed: bytes, clock_s: float = 0.0) -> Entry:
        """Raises ValueError or OverflowError for bytes that ``pack`` did not make."""
        head, _, body = packed.partition(b"\n")
        filled_at, ttl, etag = head.split(b" ", 2)
        ttl_s = int(ttl) / 1000 or None
        return cls(body if etag else ABSENT, etag, int(filled_at) / 1000 - clock_s, ttl_s)


def inner(entry: Entry | NearEntry) -> bytes:
    """What stands inside the envelope of an entry that is there; nothing for an absent one."""
    return entry.body[len(DATA) : -1] if entry.status == 200 else b""
