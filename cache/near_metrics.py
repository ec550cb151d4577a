"""Metrics of the near cache."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from cache.near import Near
from metrics import gauge


class NearMetrics:
    """The numbers of ``near``. Not set at each put, because that would cost a microsecond each."""

    def __init__(self, near: Near, registry: CollectorRegistry) -> None:
        self._near = near
        self._published_evictions = 0
        text = "Bytes of the near caches' entries, of at most NEAR_BYTES in each worker."
        self._bytes = gauge("content_near_bytes", text, registry)
        self._entries = gauge("content_near_entries", "Entries of the near caches.", registry)
        self._evictions = Counter(
            "content_near_evictions",
            "Entries that made room for others before they had expired.",
            registry=registry,
        )

    def publish(self) -> None:
        """Set the metrics to the numbers as they are now."""
        near = self._near
        self._bytes.set(near.bytes)
        self._entries.set(len(near))
        self._evictions.inc(near.evictions - self._published_evictions)
        self._published_evictions = near.evictions
