"""Metrics of the near cache: its own numbers, as they are when they are published."""

import time

from prometheus_client import CollectorRegistry

from cache.entry import Entry
from cache.near import Near, near_metrics
from metrics import Publisher


def numbers(registry: CollectorRegistry) -> tuple[float | None, ...]:
    names = ("bytes", "entries", "evictions_total")
    return tuple(registry.get_sample_value(f"content_near_{name}") for name in names)


def put(near: Near, key: str) -> None:
    near.put(key, Entry(b"body", b'"tag"', time.time()))


def test_the_numbers_are_those_of_the_last_time_they_were_published() -> None:
    near = Near(5_000, 60.0)
    put(near, "/a")
    metrics = Publisher()
    near_metrics(near, metrics)
    metrics.publish()
    assert numbers(metrics) == (near.bytes, 1, 0)
    for n in range(20):
        put(near, f"/{n}")
    metrics.publish()
    assert near.evictions > 0
    assert numbers(metrics) == (near.bytes, len(near), near.evictions)
    before = near.evictions
    for n in range(20, 25):
        put(near, f"/{n}")
    metrics.publish()
    assert numbers(metrics) == (near.bytes, len(near), before + 5)
    near.clear()
    metrics.publish()
    assert numbers(metrics) == (0, 0, before + 5)
    put(near, "/a")
    assert numbers(metrics) == (0, 0, before + 5)
