"""Admission: under overload, hovers are refused at once, so that clicks are answered in time.

Hits do not reach this layer, because a hit costs less than a refusal. Several rows and home pages
do, because their handlers look them up, unless the lane finds all of them near. Overload is
measured: reads wait in line for the store, or the request itself has waited for this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter

from errors import Shed
from middleware.deadline import ARRIVED
from middleware.onion import Context, Middleware, Next
from priority import is_hover, urgent

LAG_S = 0.1
"""A hover that has waited longer for this process is refused, because its answer comes too late."""


def admission(is_congested: Callable[[], bool], registry: CollectorRegistry) -> Middleware:
    """Make the middleware. It also counts requests that are shed further in."""
    sheds = Counter(
        "content_shed",
        "Requests refused under overload, by how urgent they were: hover or click.",
        ("kind",),
        registry=registry,
    )
    hovers, clicks = sheds.labels("hover"), sheds.labels("click")

    async def admission(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        may_wait = ctx.method in ("GET", "HEAD") and is_hover(ctx.scope["headers"])
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
