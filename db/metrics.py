"""Metrics of a store: whether it answers, and the limit of its reads."""

from __future__ import annotations

from db.cassandra.limit import Limit
from db.store import VideoStore
from metrics import Publisher


def store_metrics(store: VideoStore, limit: Limit, publisher: Publisher) -> None:
    """Add the state of ``store``, the times of its calls and the numbers of ``limit``."""

    def is_up() -> bool:
        return store.state()[0] in ("up", "degraded")

    publisher.registry.register(store.timings.histogram)
    publisher.add(store.timings.publish)
    text = "1 while the store answers; with several workers, while it answers each of them."
    publisher.gauge("content_store_up", text, is_up, "livemin")
    name, text = "content_store_reads", "Reads that are at Cassandra."
    publisher.gauge(f"{name}_in_flight", text, lambda: limit.in_flight)
    text = "How many reads may be at Cassandra at a time."
    publisher.gauge(f"{name}_limit", text, lambda: limit.limit)
    text = "How often the limit was set anew, which takes reads that fill half of it."
    publisher.counter(f"{name}_limit_updates", text, lambda: limit.updates)
    publisher.gauge(f"{name}_min", "The least that the limit can be.", lambda: limit.minimum)
    publisher.gauge(f"{name}_max", "The most: STORE_READS_MAX.", lambda: limit.maximum)
