"""Metrics of the Redis client."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from metrics import gauge

RESULTS = "hit", "miss", "late", "down"


class RedisMetrics:
    """Counters and a gauge. Without a registry they count, but cannot be read."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        registry = registry or CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"content_redis_{name}", text, labels, registry=registry)

        reads = counter(
            "reads",
            "Reads of keys: hit, miss, late (after the deadline) or down (not asked, or refused).",
            "result",
        )
        self._reads = {each: reads.labels(each) for each in RESULTS}
        self.invalidations = counter(
            "invalidations",
            "Keys that Redis said were changed, by this process too: values and reign markers; a "
            "flush of all keys counts once.",
        )
        # connections that passed the handshake; 1 means that none was ever lost
        self.connections = counter("connections", "Connections made to Redis.")
        text = "Workers for which Redis is up; 0 while it is an outage."
        self.up = gauge("content_redis_up", text, registry)
        # leases, fills, intents and settlements that Redis refused, for example for want of memory
        self.refusals = counter("refusals", "Script calls that Redis refused.")

    def count(self, result: str, reads: int) -> None:
        """Count ``reads`` reads that ended as ``result``."""
        self._reads[result].inc(reads)
