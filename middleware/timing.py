"""Timing: the outermost layer, which tells client and Prometheus how long the other layers took.

Metrics are labelled by route template, never by path. Paths without a route all count as
``unmatched``, so that no client, such as a scanner, can make a label.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from middleware.onion import Context, Middleware, Next
from middleware.shared import Shared
from middleware.tally import Row, Tally

METHODS = ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "DELETE")
BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_BOUNDS = (*map(str, BUCKETS_S), "+Inf")
_WIDTH = len(BUCKETS_S) + 2  # one count above every bound, and the sum
_OUTCOMES = ("", "", "ok", "redirect", "client_error", "server_error")


class RequestMetrics(Collector):
    """A histogram of seconds by route template, method, outcome, and the layer that had the data
    (as in ``cache.reads.Answer``; empty if the answer comes from no layer).

    Requests are counted in plain rows of numbers, and made into Prometheus' form at a scrape. Its
    client's own histogram costs 2 us for each observation, a third of a near hit. With several
    workers, the rows are ``shared``.
    """

    def __init__(self, registry: CollectorRegistry, shared: Shared | None = None) -> None:
        self._tally = shared.tally(_WIDTH) if shared else Tally(_WIDTH)
        self._by_answer: dict[tuple[str, str, int, str], Row] = {}
        registry.register(self)

    def observe(
        self, route: str, method: str, status: int, seconds: float, layer: str = ""
    ) -> None:
        """Count one request."""
        row = self._by_answer.get((route, method, status, layer))
        if row is None:
            row = self._find(route, method, status, layer)
        row[bisect_left(BUCKETS_S, seconds)] += 1.0
        row[-1] += seconds

    def _find(self, route: str, method: str, status: int, layer: str) -> Row:
        name = method if method in METHODS else "other"
        outcome = "not_modified" if status == 304 else _OUTCOMES[status // 100]
        row = self._tally.row((route, name, outcome, layer))
        if name == method:  # a client can send any other name, so these are not kept
            self._by_answer[route, method, status, layer] = row
        return row

    def collect(self) -> Iterator[Metric]:
        """Yield the histogram, for Prometheus."""
        family = HistogramMetricFamily(
            "content_request_seconds",
            "Time from the outermost middleware's start to its end.",
            labels=("route", "method", "outcome", "layer"),
        )
        for labels, row in self._tally.rows():
            counts = accumulate(row[:-1])
            buckets = zip(_BOUNDS, counts, strict=True)
            family.add_metric(labels, list(buckets), row[-1])
        yield family


def timing(metrics: RequestMetrics) -> Middleware:
    """Make the middleware. ``Server-Timing`` is in milliseconds, as its standard says."""

    async def timing(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        start = time.perf_counter()
        await next()
        seconds = time.perf_counter() - start
        ctx.headers[b"server-timing"] = b"total;dur=%.3f" % (seconds * 1000)
        metrics.observe(ctx.route, ctx.method, ctx.status, seconds, ctx.layer)

    return timing
