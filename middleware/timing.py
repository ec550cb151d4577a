"""Timing: the outermost layer, which tells client and Prometheus how long the other layers took.

Metrics are labelled by route template, never by path. Paths without a route all count as
``unmatched``, so that no client, such as a scanner, can make a label.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.samples import Sample

from middleware.onion import Context, Middleware, Next

METHODS = ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "DELETE")
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ZEROS = (0.0,) * (len(BUCKETS_S) + 2)  # one count above every bound, and the sum
_OUTCOMES = ("", "", "ok", "redirect", "client_error", "server_error")


class _Histogram(Histogram):
    """A histogram that adds many observations at once, and has no series for its creation."""

    def add(self, row: Sequence[float]) -> None:
        """Add the number of observations in each bucket, and their sum."""
        for value, number in zip((*self._buckets, self._sum), row, strict=True):
            value.inc(number)

    def _child_samples(self) -> Iterable[Sample]:
        return [each for each in super()._child_samples() if each.name != "_created"]


class RequestMetrics:
    """A histogram of seconds by route template, method, outcome and layer.

    ``layer`` names the layer that had the data (as in ``cache.reads.Answer``), and is empty if no
    layer had any. Requests are counted in plain rows of numbers, which ``publish`` moves to
    Prometheus' histogram. That histogram itself costs 2 us for each observation, a third of a near
    hit.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._histogram = _Histogram(
            "content_request_seconds",
            "Time from the outermost middleware's start to its end.",
            ("route", "method", "outcome", "layer"),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._rows: dict[tuple[str, str, str, str], list[float]] = {}
        self._by_answer: dict[tuple[str, str, int, str], list[float]] = {}

    def observe(
        self, route: str, method: str, status: int, seconds: float, layer: str = ""
    ) -> None:
        """Count one request."""
        row = self._by_answer.get((route, method, status, layer))
        if row is None:
            row = self._find(route, method, status, layer)
        row[bisect_left(BUCKETS_S, seconds)] += 1.0
        row[-1] += seconds

    def _find(self, route: str, method: str, status: int, layer: str) -> list[float]:
        name = method if method in METHODS else "other"
        outcome = "not_modified" if status == 304 else _OUTCOMES[status // 100]
        row = self._rows.setdefault((route, name, outcome, layer), [*_ZEROS])
        if name == method:  # a client can send any other name, so these are not kept
            self._by_answer[route, method, status, layer] = row
        return row

    def publish(self) -> None:
        """Move the counts since the last call to the histogram."""
        for labels, row in self._rows.items():
            if any(row):
                self._histogram.labels(*labels).add(row)
                row[:] = _ZEROS


def timing(metrics: RequestMetrics) -> Middleware:
    """Make the middleware. ``Server-Timing`` is in milliseconds, as its standard says."""

    async def timing(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        start = time.perf_counter()
        await next()
        seconds = time.perf_counter() - start
        ctx.headers[b"server-timing"] = b"total;dur=%.3f" % (seconds * 1000)
        metrics.observe(ctx.route, ctx.method, ctx.status, seconds, ctx.layer)

    return timing
