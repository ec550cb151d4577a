"""A near cache under clocks that stand still, and entries for it."""

from cache.entry import ABSENT, Entry
from cache.near import Near

NOON = 1_700_000_000.0


class Time:
    """Both clocks, and the jitter: nothing moves by itself."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.jitter = 0.0

    def near(self, limit_bytes: int = 1 << 20, ttl_s: float = 10.0, **options: float) -> Near:
        return Near(
            limit_bytes,
            ttl_s,
            clock=lambda: self.now_s,
            wall=lambda: NOON + self.now_s,
            jitter=lambda: self.jitter,
            render=lambda entry: b"head of " + entry.etag,
            **options,
        )

    def row(self, body: bytes = b"body", ttl_s: float | None = None) -> Entry:
        return Entry(body, b'"tag"', NOON + self.now_s, ttl_s)


def put(near: Near, key: str, entry: Entry) -> Entry | None:
    """The entry if it is kept."""
    return entry if near.put(key, entry) else None


def room_for(rows: int, at: Time) -> int:
    """A limit that holds this many of ``at.row()`` under keys of two characters."""
    one = put(at.near(), "00", at.row())
    assert one is not None
    return rows * one.cost_bytes


def absent(ttl_s: float = 5.0) -> Entry:
    """As the read path makes it."""
    return Entry(ABSENT, b"", NOON + 100.0, ttl_s)
