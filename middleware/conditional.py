"""Conditional requests: a client that has the current bytes gets a 304 (RFC 9110, 13.1.2).

Works on whatever response comes out of the layers inside, a cache's as well as a handler's.
"""

from __future__ import annotations

from middleware.onion import Context, Middleware, Next


def conditional() -> Middleware:
    """Makes the middleware."""

    async def conditional(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        await next()
        if ctx.status != 200 or b"etag" not in ctx.headers or ctx.method not in ("GET", "HEAD"):
            return
        condition = ctx.header(b"if-none-match")
        if condition is not None and matches(condition, ctx.headers[b"etag"].decode()):
            ctx.status = 304
            for name in (b"content-type", b"content-length"):  # of the bytes that are not sent
                ctx.headers.pop(name, None)

    return conditional


def matches(condition: str, etag: str) -> bool:
    """Whether ``If-None-Match`` names the tag: a list or ``*``, compared weakly."""
    return condition.strip() == "*" or etag in (tag.removeprefix("W/") for tag in tags(condition))


def tags(condition: str) -> list[str]:
    """The entity tags of a list; commas inside a tag belong to it (RFC 9110, 8.8.3)."""
    found, rest = [], condition
    while (start := rest.find('"')) >= 0:
        end = rest.find('"', start + 1)
        if end < 0:
            break
        weak = rest[:start].endswith("W/")
        found.append(("W/" if weak else "") + rest[start : end + 1])
        rest = rest[end + 1 :]
    return found
