"""Timing: tells client, Prometheus and, if wanted, the access log how long the layers inside took.

Only tracing is outside of these layers. Metrics are labelled by route template, never by path.
Paths without a route all count as ``unmatched``, so that no client, such as a scanner, can make a
label.
"""

import logging
import time

from prometheus_client import CollectorRegistry

from metrics import Timings
from middleware.onion import Context, Middleware, Next

logger = logging.getLogger("content.access")

LINE = "%(method)s %(path)s %(status)d ms=%(ms)s layer=%(layer)s bytes=%(bytes)d id=%(request_id)s"
METHODS = ("GET", "HEAD", "OPTIONS", "PATCH", "POST", "DELETE")
_OUTCOMES = ("", "", "ok", "redirect", "client_error", "server_error")


class RequestMetrics(Timings):
    """A histogram of seconds by route template, method, outcome and layer.

    ``layer`` names the layer that had the data (as in ``cache.reads.Answer``), and is empty if no
    layer had any.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        text = "Time from the outermost middleware's start to its end."
        labels = ("route", "method", "outcome", "layer")
        super().__init__("content_request_seconds", text, registry, *labels)

    def observe(self, route: str, method: str, status: int, seconds: float, layer: str) -> None:
        """Count one request. Unknown methods count as ``other``, because a client can send any."""
        name = method if method in METHODS else "other"
        outcome = "not_modified" if status == 304 else _OUTCOMES[status // 100]
        self.count(seconds, route, name, outcome, layer)


def timing(metrics: RequestMetrics) -> Middleware:
    """Make the middleware. ``Server-Timing`` is in milliseconds, as its standard says."""

    async def timing(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
        start = time.perf_counter()
        await next()
        seconds = time.perf_counter() - start
        ctx.headers[b"server-timing"] = b"total;dur=%.3f" % (seconds * 1000)
        metrics.observe(ctx.route, ctx.method, ctx.status, seconds, ctx.layer)

    return timing


async def access_log(ctx: Context, next: Next) -> None:  # noqa: A002 - Koa's name
    """Log a line for the request once it is answered, also as fields for JSON.

    A path has its query, both as the client has encoded them. Bytes are those of the body.
    """
    start = time.perf_counter()
    await next()
    ms = round((time.perf_counter() - start) * 1000, 3)
    target = b"?".join(filter(None, (ctx.scope["raw_path"], ctx.scope["query_string"])))
    path = target.decode("ascii", "backslashreplace")
    fields = {"method": ctx.method, "status": ctx.status, "layer": ctx.layer, "ms": ms}
    fields |= {"path": path, "bytes": len(ctx.finish()[1]), "request_id": ctx.identify()}
    logger.info(LINE, fields)
