"""Metrics of the near cache."""

from __future__ import annotations

from cache.near import Near
from metrics import Publisher


def near_metrics(near: Near, publisher: Publisher) -> None:
    """Add the numbers of ``near``. A metric that is set at each put would cost it a microsecond."""
    text = "Bytes of the near caches' entries, of at most NEAR_BYTES in each worker."
    publisher.gauge("content_near_bytes", text, lambda: near.bytes)
    publisher.gauge("content_near_entries", "Entries of the near caches.", near.__len__)
    text = "Entries that made room for others before they had expired."
    publisher.counter("content_near_evictions", text, lambda: near.evictions)
