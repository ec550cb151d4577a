"""Deadline: ends the wait for an answer that would come too late to be of use.

The clock starts when the request's head has arrived, so time in a queue counts. For POST and PATCH
it starts when the body was read, because the wire limits how long a body may take. Only the waiting
ends. A load that other requests share goes on, and so does a write that was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from errors import Late, OutcomeUnknown
from middleware.onion import Context, Middleware, Next

ARRIVED = "content.arrived"
"""In the scope: when the request's head had arrived, in seconds by the loop's clock."""


def deadline(read_s: float, write_s: float) -> Middleware:
    """Make the middleware. ``read_s`` is for GET and HEAD, ``write_s`` for all other methods."""

    async def deadline(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        loop = asyncio.get_running_loop()
        is_read = ctx.method in ("GET", "HEAD")
        when: float | None = arrived(ctx.scope) + (read_s if is_read else write_s)
        if ctx.method in ("POST", "PATCH"):
            when = None
        elif when is not None and when <= loop.time():
            raise Late()
        timeout = asyncio.timeout_at(when)
        if when is None:
            ctx.on_read = lambda: timeout.reschedule(loop.time() + write_s)
        try:
            async with timeout:
                await next()
        except TimeoutError:
            if not timeout.expired():
                raise  # a TimeoutError from elsewhere
            raise (Late() if is_read else Late(OutcomeUnknown.message)) from None

    return deadline


def arrived(scope: Mapping[str, Any]) -> float:
    """Return when a request arrived, by the loop's clock. Return now if the server sets no time."""
    found = scope.get(ARRIVED)
    return asyncio.get_running_loop().time() if found is None else float(found)
