"""Deadline: an answer that comes too late is of no use, so waiting for it ends in time.

The clock starts when the request's head has arrived, so time in a queue counts; for a request with
a body, whose arrival the wire limits, when that was read. What ends is the waiting: a load that
others share goes on, and so does a write that was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from errors import Late, OutcomeUnknown
from middleware.onion import Context, Middleware, Next

ARRIVED = "content.arrived"
"""In the scope: when the request's head had arrived, by the loop's clock."""


def deadline(read_s: float, write_s: float) -> Middleware:
    """Makes the middleware; ``read_s`` is for GET and HEAD, ``write_s`` for all others."""

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
                raise  # of something else
            raise (Late() if is_read else Late(OutcomeUnknown.message)) from None

    return deadline


def arrived(scope: Mapping[str, Any]) -> float:
    """When a request arrived, by the loop's clock; now, where the server does not say."""
    found = scope.get(ARRIVED)
    return asyncio.get_running_loop().time() if found is None else float(found)
