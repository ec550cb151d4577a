"""A finished answer: what every layer of the cache keeps, and what goes over the wire.

A hit and a miss are the same bytes because both are one of these. ``filled_at`` is when the store
was read, in seconds since 1970 by this machine's clock: the start of ``Age``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache.near import NearEntry

ABSENT = b'{"status":"failed","message":"Not Found"}'


DATA = b'{"status":"success","data":'
"""How the body of every entry that is not absent begins; it ends with one brace."""


class Entry:
    """``etag`` includes its quotes and is empty for an absent row: a negative entry, a 404.

    ``age_limit_s`` says how long after ``filled_at`` it may be served at all; None: as long as the
    layer's own TTL lets it.
    """

    __slots__ = ("age_limit_s", "body", "etag", "filled_at")

    def __init__(
        self, body: bytes, etag: bytes, filled_at: float, age_limit_s: float | None = None
    ) -> None:
        self.body = body
        self.etag = etag
        self.filled_at = filled_at
        self.age_limit_s = age_limit_s

    @classmethod
    def absent(cls) -> Entry:
        """A negative entry, read now."""
        return cls(ABSENT, b"", time.time())

    @property
    def status(self) -> int:
        return 200 if self.etag else 404

    def pack(self) -> bytes:
        """The bytes that Redis keeps; ``unpack`` is its inverse but for whole seconds."""
        return b"%d %b\n%b" % (self.filled_at, self.etag, self.body if self.etag else b"")

    @classmethod
    def unpack(cls, packed: bytes) -> Entry:
        """Raises ValueError for bytes that ``pack`` did not make."""
        head, _, body = packed.partition(b"\n")
        filled_at, blank, etag = head.partition(b" ")
        if not blank:
            raise ValueError("not an entry")
        return cls(body if etag else ABSENT, etag, int(filled_at))


def inner(entry: Entry | NearEntry) -> bytes:
    """What stands inside the envelope of an entry that is there; nothing for an absent one."""
    return entry.body[len(DATA) : -1] if entry.status == 200 else b""
