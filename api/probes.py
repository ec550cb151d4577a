"""The probes for operators: liveness, readiness and metrics."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from cache.redis.absent import Rows
from db.store import VideoStore
from drain import Drain
from metrics import Publisher
from middleware.onion import Context


@dataclass(frozen=True)
class Probes:
    """Handlers of ``/healthz``, ``/readyz`` and ``/metrics``. None waits for a dependency."""

    store: VideoStore
    redis: Rows
    publisher: Publisher
    drain: Drain

    async def alive(self, ctx: Context) -> None:
        """Answer that the process is alive."""
        ctx.status = 200
        ctx.body = b'{"status":"success"}'

    async def ready(self, ctx: Context) -> None:
        """Answer whether the service can serve, and with the states of its dependencies.

        A store that was up before may come back at any time: the service is degraded, not starting.
        """
        state, reason = self.store.state()
        redis = self.redis.state
        if self.drain.active:
            overall = "draining"
        elif state == "starting":
            overall = "starting"
        else:
            overall = "ready" if state == "up" and redis != "down" else "degraded"
        data = {"state": overall, "store": "up" if state == "up" else "down", "redis": redis}
        if self.redis.reason:
            reason = "; ".join(filter(None, (reason, self.redis.reason)))
        if reason:
            data["reason"] = reason
        ctx.answer(data)
        if overall in ("starting", "draining"):
            ctx.status = 503
            ctx.headers[b"retry-after"] = b"1"
            ctx.body = orjson.dumps({"status": "failed", "message": overall, "data": data})

    async def metrics(self, ctx: Context) -> None:
        """Answer with the metrics, in Prometheus' text format."""
        ctx.status = 200
        ctx.body = self.publisher.scrape()
        ctx.headers[b"content-type"] = CONTENT_TYPE_LATEST.encode()
