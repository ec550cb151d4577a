"""Deadline: ends the wait for an answer that would come too late to be of use.

The clock starts when the request's head has arrived, so time in a queue counts. For POST and PATCH
it starts when the body was read, because the wire limits how long a body may take. Only the waiting
ends. A load that other requests share goes on, and so does a write that was sent.
"""

from __future__ import annotations

import asyncio

from errors import Late, OutcomeUnknown
from middleware.onion import Context, Middleware, Next

ARRIVED = "content.arrived"
"""In the scope: when the request's head had arrived, in seconds by the loop's clock. If the server
does not set the time, the request arrives now."""


def deadline(read_s: float, write_s: float) -> Middleware:
    """Make the middleware. ``read_s`` is for GET and HEAD, ``write_s`` for all other methods."""

    async def deadline(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        loop = asyncio.get_running_loop()
        now, is_read = loop.time(), ctx.method in ("GET", "HEAD")
        when = ctx.scope.get(ARRIVED, now) + (read_s if is_read else write_s)
        if ctx.method in ("POST", "PATCH"):
            timeout = asyncio.timeout_at(None)
            ctx.on_read = lambda: timeout.reschedule(loop.time() + write_s)
        elif when <= now:
            raise Late()
        else:
            timeout = asyncio.timeout_at(when)
        try:
            async with timeout:
                await next()
        except TimeoutError:
            if not timeout.expired():
                raise  # a TimeoutError from elsewhere
            raise (Late() if is_read else Late(OutcomeUnknown.message)) from None

    return deadline
