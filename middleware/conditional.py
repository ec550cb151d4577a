"""Conditional reads: ``If-Match``, then ``If-None-Match`` (RFC 9110, 13.2.2).

They apply to every 200 with an entity tag, whether a cache or a handler made it. Conditions on
dates, ``If-Range`` and ``Range`` do not apply, because no answer has a date or comes in parts.
"""

from __future__ import annotations

from errors import PreconditionFailed
from etags import names
from middleware.onion import Context, Next


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
