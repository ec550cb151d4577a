"""The fast lane: make the response to a plain read, which the protocol writes.

A hit takes no task. A row that no cache has is loaded in a task. The task runs the same middleware
and handler as a request that comes through ASGI, without ASGI's messages and the router.

The response is that of a request through ASGI, byte for byte except for the time in
``Server-Timing``. The lane answers a request only if all of these hold:

- it is a GET or HEAD of HTTP/1.1 without a body;
- its target is exactly a key of the near cache, the home page, or (GET only) a row's key;
- its connection has no other request in progress, and the client reads its responses.

All other requests go through ASGI.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from cache.entry import Entry
from cache.keys import HOME, ROW, ROW_ROUTE, is_row
from drain import Drain
from etags import names
from middleware.cache_lookup import STATUS
from middleware.deadline import ARRIVED
from middleware.onion import JSON, Context, Handler
from middleware.timing import RequestMetrics

if TYPE_CHECKING:
    from cache.near import Near
    from cache.redis.absent import Rows

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
"""Headers that announce a body or may change the answer. Their requests go through ASGI."""
KEPT = frozenset((b"priority", b"sec-purpose"))
"""Headers of a plain GET that the middleware of a miss reads."""


def render_with(cache_control: bytes, layer: str = "near") -> Callable[[Entry], bytes]:
    """Return a function that makes the headers of a hit, from ``content-type`` on.

    They end before the value of ``age``, which is known when the hit is sent. The order is that of
    ``cache_lookup.answer``.
    """

    def render(entry: Entry) -> bytes:
        return (
            b"content-type: %b\r\ncontent-length: %d\r\n"
            b"etag: %b\r\ncache-control: %b\r\ncache-status: %b\r\nage: "
        ) % (JSON, len(entry.body), entry.etag, cache_control, STATUS[layer])

    return render


def is_ordinary(headers: Headers) -> bool:
    """Return whether no header except ``If-None-Match`` can change the answer to a request."""
    for name, value in headers:
        if name in _ASIDE or (name == b"connection" and value.lower() != b"keep-alive"):
            return False
    return True


class Lane:
    """Make the responses to hits, and count them in ``metrics`` as the middleware does.

    ``near`` answers from the near cache, ``ask`` and ``found`` from Redis, ``load`` by ``respond``,
    which gets a Context. ``home`` makes a home page of near entries, or returns None. While
    ``drain`` is active new requests go through ASGI, whose answers carry ``Connection: close``.
    """

    def __init__(
        self,
        near: Near,
        redis: Rows,
        home: Callable[[], bytes | None],
        respond: Handler,
        metrics: RequestMetrics,
        cache_control: bytes,
        drain: Drain,
    ) -> None:
        self._near = near
        self._redis = redis
        self._home = home
        self._respond = respond
        self._metrics = metrics
        self._drain = drain
        self._render = render_with(cache_control, "redis")

    def near(
        self, method: str, target: str, condition: str | None, defaults: Headers
    ) -> bytes | None:
        """Return the whole response from the near cache; None if the request must go through ASGI.

        ``condition`` is ``If-None-Match``, ``defaults`` are the server's own headers.
        """
        start = time.perf_counter()
        entry = self._near.get(target)
        if entry is None and target == HOME and condition is None:
            return self._page(method, start, defaults)
        if entry is None or entry.status != 200 or self._drain.active:
            return None
        line, head, body, status = OK, entry.head, entry.body, 200
        if condition is not None and names(condition, entry.etag.decode(), weak=True):
            # a 304 has no body, so it omits content-type and content-length, which come before etag
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

    def is_row(self, target: str) -> bool:
        """Return whether the lane may read ``target`` from Redis or the store.

        False: the service drains, ``target`` is not a row's key, or the near cache holds a 404 for
        it.
        """
        return not self._drain.active and is_row(target) and self._near.get(target) is None

    def ask(self, target: str) -> asyncio.Future[Entry | None] | None:
        """Start reading a row from Redis; the future gives its entry, or None on a miss.

        Return None if Redis is not configured or away.
        """
        return self._redis.ask(target)

    async def load(
        self,
        target: str,
        headers: Headers,
        arrived_s: float,
        defaults: Headers,
        is_last: Callable[[], bool],
    ) -> tuple[bytes, bool]:
        """Return the response to a GET of a row that no cache has, and whether it is the last.

        The connection must end after the last one, as ``is_last`` or a drain wants. The request
        arrived at ``arrived_s``, by the loop's clock. ``headers`` are those of KEPT.
        """
        hit = None if is_last() else self.near("GET", target, None, defaults)
        if hit is not None:  # another load has ended since the look at the near cache
            return hit, False
        scope = {"type": "http", "method": "GET", "path": target, "query_string": b""}
        named = {"headers": headers, "path_params": {"id": target[len(ROW) :]}, ARRIVED: arrived_s}
        ctx = Context(scope | named, _no_body)
        ctx.route = ROW_ROUTE
        await self._respond(ctx)
        if self._drain.active or is_last():
            ctx.headers[b"connection"] = b"close"
        fields, body = ctx.finish()
        head = (STATUS_LINE[ctx.status], _lines(defaults), _lines(fields))
        return b"".join((*head, b"\r\n", body)), b"connection" in ctx.headers

    def found(self, entry: Entry | None, seconds: float, defaults: Headers) -> bytes | None:
        """Return the whole response to a GET whose ``ask`` gave ``entry``, after ``seconds``.

        Return None on a miss, a 404 and a stale entry, and during a drain: ``load`` answers then.
        """
        if entry is None or entry.status != 200 or not entry.is_fresh() or self._drain.active:
            return None
        self._metrics.observe(ROW_ROUTE, "GET", 200, seconds, "redis")
        return _join(OK, defaults, self._render(entry), entry.filled_at, seconds, entry.body)


async def _no_body() -> Message:
    raise RuntimeError("a plain GET has no body")


def _join(
    line: bytes, defaults: Headers, head: bytes, filled_at: float, seconds: float, body: bytes
) -> bytes:
    """Return the whole response; ``head`` ends where the value of ``age`` begins."""
    age_s = max(0, int(time.time() - filled_at))
    timing = b"%d\r\nserver-timing: total;dur=%.3f\r\n\r\n" % (age_s, seconds * 1000)
    return b"".join((line, _lines(defaults), head, timing, body))


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
