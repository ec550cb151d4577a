"""The fast lane: make the response to a plain read, which the protocol writes.

A hit takes no task. A row that no cache has is loaded in a task, and so are several rows that are
not all near. The task runs the same handler as a request that comes through ASGI, and four of its
middlewares, without ASGI's messages and the router.

The response is that of a request through ASGI, byte for byte except for the time in
``Server-Timing``. The lane answers a request only if all of these hold:

- it is a GET of HTTP/1.1 without a body;
- its target is exactly a key of the near cache, the home page, the key of a row, or several rows by
  their ids;
- its connection has no other request in progress, and the client reads its responses.

All other requests go through ASGI.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from cache.entry import Entry
from cache.keys import BY_QUERY, HOME, ROW, ROW_ROUTE, SEVERAL
from cache.near import Near
from drain import Drain
from etags import names
from middleware.admission import ARRIVED
from middleware.cache_lookup import STATUS
from middleware.onion import JSON, Context, Handler
from middleware.timing import RequestMetrics

OK, NOT_MODIFIED = STATUS_LINE[200], STATUS_LINE[304]
PAGE = (
    b"content-type: %b\r\ncache-control: no-store\r\n"
    b"server-timing: total;dur=%%.3f\r\ncontent-length: %%d\r\n"
) % JSON
AGE = b"%d\r\nserver-timing: total;dur=%.3f\r\n"
"""Follows a head that ends where the value of ``age`` begins."""
VARY = b"vary: Origin\r\n"
"""Ends the headers of every answer while CORS is on."""
Headers = Sequence[tuple[bytes, bytes]]

TRACEPARENT = b"traceparent"
_ASIDE = frozenset(
    b"content-length expect if-match origin transfer-encoding upgrade x-request-id".split()
)
"""Headers that announce a body or may change the answer. Their requests go through ASGI."""
_LINE = b"%b: %b\r\n".__mod__
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


@dataclass
class Lane:
    """Make the responses to hits, and count them in ``metrics`` as the middleware does.

    ``near`` answers from ``cache``. ``ask`` asks Redis, and ``found`` makes the response to a hit
    there. ``load`` answers a ``context``, and ``loaded`` makes its response. ``home`` makes a home
    page of near entries, or returns None. While ``drain`` is active new requests go through ASGI,
    whose answers carry ``Connection: close``. ``has_cors`` adds VARY, as CORS does to the answers
    of ASGI. With ``has_tracing`` a request that the client traces goes through ASGI.
    """

    cache: Near
    ask: Callable[[str], asyncio.Future[Entry | None] | None]
    home: Callable[[], bytes | None]
    load: Handler
    metrics: RequestMetrics
    cache_control: bytes
    drain: Drain
    has_cors: bool = False
    has_tracing: bool = False

    def __post_init__(self) -> None:
        self._render = render_with(self.cache_control, "redis")
        self._aside = _ASIDE | {TRACEPARENT} if self.has_tracing else _ASIDE
        self._end = (VARY if self.has_cors else b"") + b"\r\n"
        self._page_head, self._age = PAGE + self._end, AGE + self._end
        self._defaults: Headers = ()
        self._default_lines = b""

    def is_ordinary(self, headers: Headers) -> bool:
        """Return whether no header except ``If-None-Match`` can change the answer to a request."""
        aside = self._aside
        for name, value in headers:
            # a trace without the flag "sampled" changes nothing (W3C Trace Context)
            if name in aside and (name != TRACEPARENT or value[54:55] in b"13579bdf"):
                return False
            if name == b"connection" and value.lower() != b"keep-alive":
                return False
        return True

    def near(self, target: str, condition: str | None, defaults: Headers) -> bytes | None:
        """Return the whole response to a GET from the near cache.

        Return None if the near cache has no entry, and empty bytes if the request must go through
        ASGI: the entry is a 404, or the service drains. ``condition`` is ``If-None-Match``,
        ``defaults`` are the server's own headers.
        """
        start = time.perf_counter()
        if self.drain.active:
            return b""
        entry = self.cache.get(target)
        if entry is None and target.startswith(SEVERAL):
            entry = self.cache.several(target)
        if entry is None:
            return self._page(start, defaults) if target == HOME and condition is None else None
        if entry.status != 200:
            return b""
        line, head, body, status = OK, entry.head, entry.body, 200
        if condition is not None and names(condition, entry.etag.decode(), weak=True):
            # a 304 has no body, so it omits content-type and content-length, which come before etag
            line, head, body, status = NOT_MODIFIED, head[head.index(b"etag: ") :], b"", 304
        seconds = time.perf_counter() - start
        self.metrics.observe(entry.route, "GET", status, seconds, "near")
        age_s = max(0, int(time.time() - entry.filled_at))
        return self._join(line, defaults, head, self._age % (age_s, seconds * 1000), body)

    def _page(self, start: float, defaults: Headers) -> bytes | None:
        page = self.home()
        if page is None:
            return None
        seconds = time.perf_counter() - start
        self.metrics.observe(HOME, "GET", 200, seconds, "")
        return self._join(OK, defaults, b"", self._page_head % (seconds * 1000, len(page)), page)

    def found(self, entry: Entry, seconds: float, defaults: Headers) -> bytes | None:
        """Return the whole response to a GET whose ``ask`` gave ``entry``, after ``seconds``.

        Return None for a 404 and a stale entry, and during a drain: ``load`` answers then.
        """
        if entry.status != 200 or not entry.is_fresh() or self.drain.active:
            return None
        self.metrics.observe(ROW_ROUTE, "GET", 200, seconds, "redis")
        head, age_s = self._render(entry), max(0, int(time.time() - entry.filled_at))
        return self._join(OK, defaults, head, self._age % (age_s, seconds * 1000), entry.body)

    def context(self, key: str, headers: Headers, arrived_s: float) -> Context:
        """Return the context of a GET of a row or several rows, to be answered by ``load``.

        The request arrived at ``arrived_s``, by the loop's clock. ``headers`` are those of KEPT.
        """
        path, _, query = key.partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode()}
        named = {"headers": headers, "path_params": {"id": key[len(ROW) :]}, ARRIVED: arrived_s}
        ctx = Context(scope | named, _no_body)
        ctx.route = BY_QUERY if query else ROW_ROUTE
        return ctx

    def loaded(self, ctx: Context, defaults: Headers) -> bytes:
        """Return the whole response that ``load`` put on ``ctx``."""
        fields, body = ctx.finish()
        head = b"".join(map(_LINE, fields))
        return self._join(STATUS_LINE[ctx.status], defaults, head, self._end, body)

    def _join(self, line: bytes, defaults: Headers, head: bytes, end: bytes, body: bytes) -> bytes:
        """Return the whole response: status line, the server's own headers, the other parts."""
        if defaults is not self._defaults:  # a new list each second, with another date
            self._defaults, self._default_lines = defaults, b"".join(map(_LINE, defaults))
        return b"".join((line, self._default_lines, head, end, body))


async def _no_body() -> Message:
    raise RuntimeError("a plain GET has no body")
