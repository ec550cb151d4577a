"""One finished answer, as every layer of the cache keeps it.

A hit and a miss send the same bytes, because both send an ``Entry``.
"""

import math
import time
from collections.abc import Sequence
from typing import Self

from etags import digest

ABSENT = b'{"status":"failed","message":"Not Found"}'
DATA = b'{"status":"success","data":'
"""Begins the body of every entry of status 200; one brace ends the body."""
SKEW_S = 1.0
"""``filled_at`` of a fresh entry is at most so far ahead of this machine's clock."""


class Entry:
    """A body, its ``etag`` and its age. A negative entry, a 404, has an empty ``etag``.

    ``etag`` includes its quotes. ``filled_at`` is the time of the store's read, in seconds since
    1970 by this machine's clock, and the start of ``Age``. Redis keeps ``filled_at`` by its own
    clock, so replicas agree on it. The entry is fresh until ``ttl_s`` after ``filled_at``, or as
    long as a layer keeps it if ``ttl_s`` is None. ``reads.py`` has the rule for later answers.

    Only ``Near.put`` sets the other fields. ``head`` is the rendered head of a hit's response,
    empty for a negative entry. ``route`` is the label in metrics, ``expires_at`` a moment of the
    near cache's clock, ``cost_bytes`` the entry's part of the near cache's limit.
    """

    __slots__ = (
        *("body", "etag", "filled_at", "status", "ttl_s"),
        *("cost_bytes", "expires_at", "head", "route"),
    )
    cost_bytes: int
    expires_at: float
    head: bytes
    route: str

    def __init__(
        self, body: bytes, etag: bytes, filled_at: float, ttl_s: float | None = None
    ) -> None:
        self.body = body
        self.etag = etag
        self.filled_at = filled_at
        self.status = 200 if etag else 404
        self.ttl_s = ttl_s

    @classmethod
    def absent(cls) -> Self:
        """Return a negative entry whose age begins now."""
        return cls(ABSENT, b"", time.time())

    def left_s(self, now: float) -> float:
        """Return the seconds from ``now`` to the end of the TTL; negative once the TTL has ended.

        ``now`` is a time by the clock of ``filled_at``.
        """
        if self.ttl_s is None:
            return math.inf
        return min(self.ttl_s, self.filled_at + self.ttl_s - now)

    def is_fresh(self) -> bool:
        """Return whether the TTL has not ended yet.

        An entry of the future is not fresh, because a clock was set, so its age is not known.
        """
        now = time.time()
        return self.ttl_s is None or now - self.ttl_s <= self.filled_at <= now + SKEW_S

    def pack(self, clock_s: float = 0.0) -> bytes:
        """Return the bytes that Redis keeps, from which ``unpack`` makes the entry again.

        Times are in ms by Redis' clock, which is ``clock_s`` ahead of this machine's.
        """
        body = self.body if self.etag else b""
        filled_at, ttl = (self.filled_at + clock_s) * 1000, (self.ttl_s or 0) * 1000
        return b"%d %d %b\n%b" % (filled_at, ttl, self.etag, body)

    @classmethod
    def unpack(cls, packed: bytes, clock_s: float = 0.0) -> Self:
        """Return the packed entry.

        Raises ValueError or OverflowError for bytes that ``pack`` did not make.
        """
        head, _, body = packed.partition(b"\n")
        filled_at, ttl, etag = head.split(b" ", 2)
        ttl_s = int(ttl) / 1000 or None
        return cls(body if etag else ABSENT, etag, int(filled_at) / 1000 - clock_s, ttl_s)


def inner(entry: Entry) -> bytes:
    """Return the data inside the envelope; empty bytes for a negative entry."""
    return entry.body[len(DATA) : -1] if entry.status == 200 else b""


def together(ids: Sequence[str], entries: Sequence[Entry]) -> Entry:
    """Return ``{id: row or null}`` as one entry, with the rows' own bytes, and the oldest's age.

    The ids and the rows' tags give the entry's tag, so the tag changes with every row.
    """
    parts: list[bytes] = []
    for video_id, entry in zip(ids, entries, strict=True):
        parts += b',"', video_id.encode(), b'":', inner(entry) or b"null"
    parts[0] = DATA + b'{"'
    tags = b"".join([entry.etag or b"-" for entry in entries]) + ",".join(ids).encode()
    oldest = min([entry.filled_at for entry in entries])
    return Entry(b"".join([*parts, b"}}"]), digest(tags), oldest)
