"""Metrics of the Redis client."""

from prometheus_client import Counter

from metrics import Publisher, Timings, gauge


class RedisMetrics:
    """Counters, a gauge and the times of calls.

    ``timings`` get the time from a command to its reply, or to the end of its connection.
    """

    def __init__(self, registry: Publisher) -> None:
        registry.add(self._publish)
        doc = "Reads of keys: hit, miss, late (after the deadline) or down (not asked, or refused)."
        self._reads = Counter("content_redis_reads", doc, ["result"], registry=registry)
        self._counts = dict.fromkeys(("hit", "miss", "late", "down"), 0)
        doc = "Time of a command to Redis that a request waits for: a batch of reads, or a script."
        self.timings = Timings("content_redis_seconds", doc, registry, "command")
        doc = (
            "Keys that Redis said were changed, by this process too: values and reign markers; a "
            "flush of all keys counts once."
        )
        self.invalidations = Counter("content_redis_invalidations", doc, registry=registry)
        # connections that passed the handshake; 1 means that none was ever lost
        doc = "Connections made to Redis."
        self.connections = Counter("content_redis_connections", doc, registry=registry)
        doc = "Workers for which Redis is up; 0 while it is an outage."
        self.up = gauge("content_redis_up", doc, registry)
        # leases, fills, intents and settlements that Redis refused, for example for want of memory
        doc = "Script calls that Redis refused."
        self.refusals = Counter("content_redis_refusals", doc, registry=registry)

    def count(self, result: str, reads: int) -> None:
        """Count ``reads`` reads that ended as ``result``."""
        self._counts[result] += reads

    def _publish(self) -> None:
        """Move the counts since the last call to Prometheus' metrics."""
        self.timings.publish()
        for result, number in self._counts.items():
            self._reads.labels(result).inc(number)
            self._counts[result] = 0
