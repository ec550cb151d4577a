"""Metrics of the Redis client."""

from prometheus_client import Counter

from metrics import Publisher, Timings, gauge

RESULTS = "hit", "miss", "late", "down"


class RedisMetrics:
    """Counters, a gauge and the times of calls. Without a publisher they cannot be read.

    ``timings`` get the time from a command to its reply, or to the end of its connection.
    """

    def __init__(self, publisher: Publisher | None) -> None:
        publisher = publisher or Publisher()
        publisher.add(self._publish)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"content_redis_{name}", text, labels, registry=publisher)

        reads = counter(
            "reads",
            "Reads of keys: hit, miss, late (after the deadline) or down (not asked, or refused).",
            "result",
        )
        self._reads = {each: reads.labels(each) for each in RESULTS}
        self._counts = dict.fromkeys(RESULTS, 0)
        text = "Time of a command to Redis that a request waits for: a batch of reads, or a script."
        self.timings = Timings("content_redis_seconds", text, publisher, "command")
        self.invalidations = counter(
            "invalidations",
            "Keys that Redis said were changed, by this process too: values and reign markers; a "
            "flush of all keys counts once.",
        )
        # connections that passed the handshake; 1 means that none was ever lost
        self.connections = counter("connections", "Connections made to Redis.")
        text = "Workers for which Redis is up; 0 while it is an outage."
        self.up = gauge("content_redis_up", text, publisher)
        # leases, fills, intents and settlements that Redis refused, for example for want of memory
        self.refusals = counter("refusals", "Script calls that Redis refused.")

    def count(self, result: str, reads: int) -> None:
        """Count ``reads`` reads that ended as ``result``."""
        self._counts[result] += reads

    def _publish(self) -> None:
        """Move the counts since the last call to Prometheus' metrics."""
        self.timings.publish()
        for result, number in self._counts.items():
            self._reads[result].inc(number)
            self._counts[result] = 0
