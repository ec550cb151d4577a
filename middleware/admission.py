"""Admission and deadline: nobody waits for an answer that comes too late to be of use.

Under overload, hovers are refused at once, so that clicks are answered in time. Hits do not reach
these layers, because a hit costs less than a refusal. Several rows and home pages do, because their
handlers look them up, unless the lane finds all of them near. Overload is measured: reads wait in
line for the store, or the request itself has waited for this process.

The clock of a deadline starts when the request's head has arrived, so time in a queue counts. For
POST and PATCH it starts when the body was read, because the wire limits how long a body may take.
Only the waiting ends. A load that other requests share goes on, and so does a write that was sent.
"""

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from errors import Late, OutcomeUnknown, Shed
from middleware.onion import Context, Middleware, Next
from priority import is_hover, urgent

ARRIVED = "content.arrived"
"""In the scope: when the request's head had arrived, in seconds by the loop's clock. If the server
does not set the time, the request arrives now."""
PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
LAG_S = 0.1
"""A hover that has waited longer for this process is refused, because its answer comes too late."""


def admission(is_congested: Callable[[], bool], registry: CollectorRegistry) -> Middleware:
    """Make the middleware. It also counts requests that are shed further in.

    A probe is never a hover, whatever its ``Priority``.
    """
    text = "Requests refused under overload, by how urgent they were: hover or click."
    sheds = Counter("content_shed", text, ("kind",), registry=registry)
    hovers, clicks = sheds.labels("hover"), sheds.labels("click")

    async def admission(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        may_shed = ctx.method in ("GET", "HEAD") and ctx.scope["path"] not in PROBES
        may_wait = may_shed and is_hover(ctx.scope["headers"])
        # always, because a pipelined request inherits the context of the request before it
        urgent.set(not may_wait)
        if may_wait:
            now = asyncio.get_running_loop().time()
            if now - ctx.scope.get(ARRIVED, now) > LAG_S or is_congested():
                hovers.inc()
                raise Shed(was_urgent=False)
        try:
            await next()
        except Shed:
            (clicks if urgent.get() else hovers).inc()
            raise

    return admission


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
