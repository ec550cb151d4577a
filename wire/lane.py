"""The fast lane: a hit is written by the protocol, before a request becomes a task.

It answers what the onion would answer, byte for byte but for the time that ``Server-Timing`` tells,
and only where nothing else can be meant: GET or HEAD of HTTP/1.1 without a body, for exactly a key
of the near cache or the home page, on a connection with nothing else in progress whose client reads
what it gets.
Everything else goes the ordinary way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cache.entry import Entry
from cache.keys import HOME, ROW_ROUTE, is_row
from etags import names
from middleware.cache_lookup import STATUS
from middleware.drain import Drain
from middleware.onion import JSON
from middleware.timing import RequestMetrics

if TYPE_CHECKING:
    from cache.near import Near
    from cache.redis import RedisRows

OK = b"HTTP/1.1 200 OK\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n"
PAGE = (
    b"content-type: %b\r\ncache-control: no-store\r\n"
    b"server-timing: total;dur=%%.3f\r\ncontent-length: %%d\r\n\r\n"
) % JSON
Headers = Sequence[tuple[bytes, bytes]]

_ASIDE = frozenset(
    (b"content-length", b"expect", b"if-match", b"origin", b"transfer-encoding", b"upgrade")
)
"""A request with one of these headers goes the ordinary way."""


def render_with(cache_control: bytes, layer: str = "near") -> Callable[[Entry], bytes]:
    """Makes the head of a hit's response, from ``content-type`` up to the number of ``age``,
    in the order of ``cache_lookup.answer``."""

    def render(entry: Entry) -> bytes:
        return (
            b"content-type: %b\r\ncontent-length: %d\r\n"
            b"etag: %b\r\ncache-control: %b\r\ncache-status: %b\r\nage: "
        ) % (JSON, len(entry.body), entry.etag, cache_control, STATUS[layer])

    return render


def is_ordinary(headers: Headers) -> bool:
    """Whether a request's headers leave its answer to method, target and ``If-None-Match``."""
    for name, value in headers:
        if name in _ASIDE or (name == b"connection" and value.lower() != b"keep-alive"):
            return False
    return True


class Lane:
    """Builds hits' responses and counts them where the onion would have. ``ask`` is for what is
    not near: it starts a read of Redis. ``home`` makes a page of what is near, or None. While the
    service drains, the onion answers what comes."""

    def __init__(
        self,
        near: Near,
        redis: RedisRows | None,
        home: Callable[[], bytes | None],
        metrics: RequestMetrics,
        cache_control: bytes,
        drain: Drain,
    ) -> None:
        self._near = near
        self._redis = redis
        self._home = home
        self._metrics = metrics
        self._drain = drain
        self._render = render_with(cache_control, "redis")

    def near(
        self, method: str, target: str, condition: str | None, defaults: Headers
    ) -> bytes | None:
        """The whole response to a request for what is near; None when the onion has to make it.
        ``condition`` is ``If-None-Match``, ``defaults`` are the server's own headers."""
        start = time.perf_counter()
        entry = self._near.get(target)
        if entry is None and target == HOME and condition is None:
            return self._page(method, start, defaults)
        if entry is None or entry.status != 200 or self._drain.active:
            return None
        line, head, body, status = OK, entry.head, entry.body, 200
        if condition is not None and names(condition, entry.etag.decode(), weak=True):
            # what describes the bytes that a 304 does not have comes first in a head
            line, head, body, status = NOT_MODIFIED, head[head.index(b"etag: ") :], b"", 304
        elif method == "HEAD":
            body = b""
        seconds = time.perf_counter() - start
        self._metrics.observe(entry.route, method, status, seconds, "near")
        return _join(line, defaults, head, entry.filled_at, seconds, body)

    def _page(self, method: str, start: float, defaults: Headers) -> bytes | None:
        page = None if self._drain.active else self._home()
        if page is None:
            return None
        seconds = time.perf_counter() - start
        self._metrics.observe(HOME, method, 200, seconds)
        head = PAGE % (seconds * 1000, len(page))
        body = b"" if method == "HEAD" else page
        return b"".join((OK, _lines(defaults), head, body))

    def ask(self, target: str) -> asyncio.Future[Entry | None] | None:
        """Starts reading a row from Redis; None when the onion has to: what is near and got no
        answer from here is known to be absent."""
        if (
            self._redis is None
            or self._drain.active
            or not is_row(target)
            or self._near.get(target) is not None
        ):
            return None
        return self._redis.ask(target)

    def found(self, entry: Entry | None, seconds: float, defaults: Headers) -> bytes | None:
        """The whole response to a GET of what ``ask`` found; None when the onion has to make it."""
        if entry is None or entry.status != 200 or not entry.is_fresh():
            return None
        self._metrics.observe(ROW_ROUTE, "GET", 200, seconds, "redis")
        return _join(OK, defaults, self._render(entry), entry.filled_at, seconds, entry.body)


def _join(
    line: bytes, defaults: Headers, head: bytes, filled_at: float, seconds: float, body: bytes
) -> bytes:
    age_s = max(0, int(time.time() - filled_at))
    timing = b"%d\r\nserver-timing: total;dur=%.3f\r\n\r\n" % (age_s, seconds * 1000)
    return b"".join((line, _lines(defaults), head, timing, body))


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
