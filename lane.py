"""The fast lane: a near hit is written by the protocol, before a request becomes a task.

It answers what the onion would answer, byte for byte but for the time that ``Server-Timing`` tells,
and only where nothing else can be meant: GET or HEAD of HTTP/1.1 without a body, for exactly a key
of the near cache, on a connection with nothing else in progress whose client reads what it gets.
Everything else goes the ordinary way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cache.entry import Entry
from middleware.cache_lookup import STATUS
from middleware.conditional import matches
from middleware.onion import JSON
from middleware.timing import RequestMetrics

if TYPE_CHECKING:
    from cache.near import Near

OK = b"HTTP/1.1 200 OK\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"
Headers = Sequence[tuple[bytes, bytes]]

_ASIDE = frozenset((b"content-length", b"expect", b"origin", b"transfer-encoding", b"upgrade"))
"""A request with one of these headers goes the ordinary way."""


def render_with(cache_control: bytes) -> Callable[[Entry], bytes]:
    """Makes the head of a near hit's response, from ``content-type`` up to the number of ``age``,
    in the order of ``cache_lookup.answer``."""

    def render(entry: Entry) -> bytes:
        return (
            b"content-type: %b\r\ncontent-length: %d\r\n"
            b"etag: %b\r\ncache-control: %b\r\ncache-status: %b\r\nage: "
        ) % (JSON, len(entry.body), entry.etag, cache_control, STATUS["near"])

    return render


def is_ordinary(headers: Headers) -> bool:
    """Whether a request's headers leave its answer to method, target and ``If-None-Match``."""
    for name, value in headers:
        if name in _ASIDE or (name == b"connection" and value.lower() != b"keep-alive"):
            return False
    return True


class Lane:
    """Builds near hits' responses and counts them where the onion would have."""

    def __init__(self, near: Near, metrics: RequestMetrics) -> None:
        self._near = near
        self._metrics = metrics

    def respond(
        self, method: str, target: str, condition: str | None, defaults: Headers
    ) -> bytes | None:
        """The whole response; None when the onion has to make it. ``defaults`` are the server's
        own headers (the date), ``condition`` is ``If-None-Match``."""
        start = time.perf_counter()
        entry = self._near.get(target)
        if entry is None or entry.status != 200:
            return None
        status, line, head, body = 200, OK, entry.head, entry.body
        if condition is not None and matches(condition, entry.etag.decode()):
            # what describes the bytes that a 304 does not have comes first in a head
            status, line, head, body = 304, NOT_MODIFIED, head[head.index(b"etag: ") :], b""
        elif method == "HEAD":
            body = b""
        age_s = max(0, int(time.time() - entry.filled_at))
        date = b"".join([b"%b: %b\r\n" % header for header in defaults])
        seconds = time.perf_counter() - start
        self._metrics.observe(entry.route, method, status, seconds, "near")
        timing = b"%d\r\nserver-timing: total;dur=%.3f\r\n\r\n" % (age_s, seconds * 1000)
        return b"".join((line, date, head, timing, body))
