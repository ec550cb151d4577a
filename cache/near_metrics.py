"""Metrics of the near cache, which are read from it once a second."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge

from cache.near import Near

PERIOD_S = 1.0


class NearMetrics:
    """Publish the numbers of ``near`` from ``open`` to ``close``.

    Not at the scrape, because a scrape meets one of several workers, which reads the numbers of
    the others from files. Not at each put, because that would cost a microsecond a number.
    """

    def __init__(self, near: Near, registry: CollectorRegistry) -> None:
        self._near = near
        self._published_evictions = 0
        self._bytes = Gauge(
            "content_near_bytes",
            "Bytes of the near caches' entries, of at most NEAR_BYTES in each worker.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._entries = Gauge(
            "content_near_entries",
            "Entries of the near caches.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._evictions = Counter(
            "content_near_evictions",
            "Entries that made room for others before they had expired.",
            registry=registry,
        )

    async def open(self) -> None:
        """Publish now, and then once a second."""
        self._publish()

    async def close(self) -> None:
        """Publish no more."""
        self._timer.cancel()

    def _publish(self) -> None:
        near = self._near
        self._bytes.set(near.bytes)
        self._entries.set(len(near))
        self._evictions.inc(near.evictions - self._published_evictions)
        self._published_evictions = near.evictions
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._publish)
