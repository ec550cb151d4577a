"""Metrics of the near cache: its own numbers, published without a request's help."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client import CollectorRegistry

from cache import near_metrics
from cache.entry import Entry
from cache.near import Near
from cache.near_metrics import NearMetrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def numbers(registry: CollectorRegistry) -> tuple[float | None, ...]:
    names = ("bytes", "entries", "evictions_total")
    return tuple(registry.get_sample_value(f"content_near_{name}") for name in names)


def put(near: Near, key: str) -> None:
    near.put(key, Entry(b"body", b'"tag"', time.time()), "/content/{id}")


async def test_the_numbers_are_published_at_once_and_again_until_the_end(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_metrics, "PERIOD_S", 0.0)
    near = Near(5_000, 60.0)
    put(near, "/a")
    metrics = NearMetrics(near, registry)
    await metrics.open()
    assert numbers(registry) == (near.bytes, 1, 0)
    for n in range(20):
        put(near, f"/{n}")
    await asyncio.sleep(0.01)
    assert near.evictions > 0
    assert numbers(registry) == (near.bytes, len(near), near.evictions)
    before = near.evictions
    for n in range(20, 25):
        put(near, f"/{n}")
    await asyncio.sleep(0.01)
    assert numbers(registry) == (near.bytes, len(near), before + 5)
    near.clear()
    await asyncio.sleep(0.01)
    assert numbers(registry) == (0, 0, before + 5)
    await metrics.close()
    put(near, "/a")
    await asyncio.sleep(0.01)
    assert numbers(registry) == (0, 0, before + 5)
