"""Timing: the outermost layer; says how long the others took, to the caller and to Prometheus.

Metrics are labelled by route template, never by path: a scanner's paths all count as
``unmatched``, so that no caller can make a label.
"""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Histogram

from middleware.onion import Context, Middleware, Next

METHODS = ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "DELETE")
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_OUTCOMES = ("", "", "ok", "redirect", "client_error", "server_error")


class RequestMetrics:
    """One histogram of seconds by route template, method, outcome and the layer that had the data
    (``near``, ``redis``, ``store``, ``collapsed``; empty where that is no question)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "content_request_seconds",
            "Time from the outermost middleware's start to its end.",
            ("route", "method", "outcome", "layer"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._children: dict[tuple[str, str, int, str], Histogram] = {}

    def observe(
        self, route: str, method: str, status: int, seconds: float, layer: str = ""
    ) -> None:
        """Counts one request. Keeps the labelled child: looking it up costs more than counting."""
        key = (route, method, status, layer)
        child = self._children.get(key)
        if child is None:
            outcome = "not_modified" if status == 304 else _OUTCOMES[status // 100]
            name = method if method in METHODS else "other"
            child = self.seconds.labels(route, name, outcome, layer)
            if name == method:
                self._children[key] = child
        child.observe(seconds)


def timing(metrics: RequestMetrics) -> Middleware:
    """Makes the middleware; ``Server-Timing`` is in milliseconds, as its standard wants."""

    async def timing(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        start = time.perf_counter()
        await next()
        seconds = time.perf_counter() - start
        ctx.headers[b"server-timing"] = b"total;dur=%.3f" % (seconds * 1000)
        metrics.observe(ctx.route, ctx.method, ctx.status, seconds, ctx.layer)

    return timing
