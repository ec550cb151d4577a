"""Cache lookup: answers a GET or HEAD from the near cache or Redis, without calling ``next``.

Conditional reads: ``If-Match``, then ``If-None-Match`` (RFC 9110, 13.2.2). They apply to every 200
with an entity tag, whether a cache or a handler made it. Conditions on dates, ``If-Range`` and
``Range`` do not apply, because no answer has a date or comes in parts.
"""

import math
import time
from collections.abc import Awaitable, Callable

from cache.entry import Entry
from cache.keys import BY_QUERY, key_of, route_of
from errors import NotFound, PreconditionFailed
from etags import names
from middleware.onion import JSON, Context, Middleware, Next

Cached = Callable[[str], Awaitable[tuple[Entry, str] | None]]
STATUS = {
    "near": b"content; hit; detail=near",
    "redis": b"content; hit; detail=redis",
    "store": b"content; fwd=miss; detail=store",
    "collapsed": b"content; fwd=miss; collapsed; detail=store",
}
"""``Cache-Status`` (RFC 9211) by the layer that had the answer; for ``stale`` see ``_stale``."""
AGED = ("near", "redis", "stale")


def cache_lookup(cached: Cached, cache_control: bytes) -> Middleware:
    """Make the middleware. ``cached`` returns the entry of a key and the layer that had it."""

    async def cache_lookup(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        path, is_read = ctx.scope["path"], ctx.method in ("GET", "HEAD")
        key = key_of(path, ctx.scope["query_string"]) if is_read else None
        found = await cached(key) if key is not None else None
        if key is None or found is None:
            await next()
            return
        ctx.route = BY_QUERY if path == BY_QUERY else route_of(key)
        answer(ctx, found, cache_control)

    return cache_lookup


def _stale(entry: Entry) -> bytes:
    """Return the ``Cache-Status`` of a stale entry.

    Its ``ttl`` is negative, in whole seconds (RFC 9211, 2.4). Only Redis serves stale entries.
    """
    return b"content; hit; ttl=%d; detail=redis" % min(-1, math.floor(entry.left_s(time.time())))


def answer(ctx: Context, found: tuple[Entry, str], cache_control: bytes) -> None:
    """Answer with a finished entry, and the layer that had it. Raise NotFound if it is negative.

    Only hits have ``Age``, which counts from the fill, because an answer fresh from the origin has
    none (RFC 9111, 5.1).
    """
    entry, layer = found
    if entry.status == 404:
        raise NotFound()
    ctx.status = 200
    ctx.body = entry.body
    ctx.layer = layer
    ctx.headers = {
        b"content-type": JSON,
        b"content-length": b"%d" % len(entry.body),
        b"etag": entry.etag,
        b"cache-control": cache_control,
        b"cache-status": STATUS.get(layer) or _stale(entry),
    }
    if layer in AGED:
        ctx.headers[b"age"] = b"%d" % max(0, time.time() - entry.filled_at)


async def conditional(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
    """Answer 304 if ``If-None-Match`` names the tag.

    Raise PreconditionFailed if ``If-Match`` does not name it.
    """
    await next()
    if ctx.status != 200 or b"etag" not in ctx.headers or ctx.method not in ("GET", "HEAD"):
        return
    etag = ctx.headers[b"etag"].decode()
    condition = ctx.header(b"if-match")
    if condition is not None and not names(condition, etag, weak=False):
        raise PreconditionFailed(None, etag)
    condition = ctx.header(b"if-none-match")
    if condition is not None and names(condition, etag, weak=True):
        ctx.status = 304
        for name in (b"content-type", b"content-length"):  # of a body that is not sent
            ctx.headers.pop(name, None)
