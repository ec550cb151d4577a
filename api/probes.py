"""What an operator asks: is it alive, can it serve, how does it do."""

from __future__ import annotations

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from cache.redis import RedisRows
from db.store import VideoStore
from middleware.drain import Drain
from middleware.onion import Context


class Probes:
    """``/healthz``, ``/readyz`` and ``/metrics``; none of them waits for a dependency."""

    def __init__(
        self,
        store: VideoStore,
        redis: RedisRows | None,
        registry: CollectorRegistry,
        drain: Drain,
    ) -> None:
        self.store = store
        self.redis = redis
        self.registry = registry
        self.drain = drain

    async def alive(self, ctx: Context) -> None:
        """Whether the process is alive."""
        ctx.status = 200
        ctx.body = b'{"status":"success"}'
        ctx.headers[b"cache-control"] = b"no-store"

    async def ready(self, ctx: Context) -> None:
        """Whether it can serve, and how its dependencies are."""
        state, reason = self.store.state()
        redis = "off" if self.redis is None else self.redis.state
        if state == "up":
            overall = "degraded" if redis == "down" else "ready"
        else:
            overall = "starting" if state == "starting" else "degraded"  # down: it was up once
        if self.drain.active:
            overall = "draining"
        data = {"state": overall, "store": "up" if state == "up" else "down", "redis": redis}
        if self.redis is not None and self.redis.reason:
            reason = "; ".join(filter(None, (reason, self.redis.reason)))
        if reason:
            data["reason"] = reason
        ctx.answer(data)
        if overall in ("starting", "draining"):
            ctx.status = 503
            ctx.headers[b"retry-after"] = b"1"
            ctx.body = orjson.dumps({"status": "failed", "message": overall, "data": data})
        ctx.headers[b"cache-control"] = b"no-store"

    async def metrics(self, ctx: Context) -> None:
        """What was measured, in Prometheus's text format."""
        ctx.status = 200
        ctx.body = generate_latest(self.registry)
        ctx.headers[b"content-type"] = CONTENT_TYPE_LATEST.encode()
        ctx.headers[b"cache-control"] = b"no-store"
