"""Metrics of the Redis client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class RedisMetrics:
    """Counters and a gauge. Without a registry they count, but cannot be read."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        registry = registry or CollectorRegistry()
        reads = Counter(
            "content_redis_reads",
            "Reads of keys: hit, miss, late (after the deadline) or down (not asked, or refused).",
            ("result",),
            registry=registry,
        )
        self._reads = {each: reads.labels(each) for each in ("hit", "miss", "late", "down")}
        self.invalidations = Counter(
            "content_redis_invalidations",
            "Keys that Redis said were changed, by this process too: values and reign markers; a "
            "flush of all keys counts once.",
            registry=registry,
        )
        # connections that passed the handshake; 1 means that none was ever lost
        self.connections = Counter(
            "content_redis_connections", "Connections made to Redis.", registry=registry
        )
        self.up = Gauge(
            "content_redis_up",
            "Workers for which Redis is up; 0 while it is an outage.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        # leases, fills, intents and settlements that Redis refused, for example for want of memory
        self.refusals = Counter(
            "content_redis_refusals", "Script calls that Redis refused.", registry=registry
        )

    def count(self, result: str, reads: int) -> None:
        """Count ``reads`` reads that ended as ``result``."""
        if reads:
            self._reads[result].inc(reads)
