"""Admission: under overload hovers are refused at once, so that clicks are answered in time.

Only what reaches this layer is refused: a hit is cheaper than a refusal. Overload is what was
measured: reads stand in line for the store, or the request itself has waited for the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter

from errors import Shed
from middleware.deadline import arrived
from middleware.onion import Context, Middleware, Next
from priority import is_hover, urgent

LAG_S = 0.1
"""A hover that waited that long for the process is better refused than answered late."""


def admission(
    is_congested: Callable[[], bool], probes: Collection[str], registry: CollectorRegistry
) -> Middleware:
    """Makes the middleware; the paths of ``probes`` are let pass whatever they say of themselves.
    What is refused further in is counted here, too."""
    sheds = Counter(
        "content_shed",
        "Requests refused under overload, by how urgent they were: hover or click.",
        ("kind",),
        registry=registry,
    )
    hovers, clicks = sheds.labels("hover"), sheds.labels("click")

    async def admission(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        may_shed = ctx.method in ("GET", "HEAD") and ctx.scope["path"] not in probes
        may_wait = may_shed and is_hover(ctx.header(b"priority"), ctx.header(b"sec-purpose"))
        # always: a pipelined request is begun by the one before it, and inherits what that set
        urgent.set(not may_wait)
        if may_wait:
            waited_s = asyncio.get_running_loop().time() - arrived(ctx.scope)
            if waited_s > LAG_S or is_congested():
                hovers.inc()
                raise Shed()
        try:
            await next()
        except Shed:
            (clicks if urgent.get() else hovers).inc()
            raise

    return admission
