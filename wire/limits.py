"""What a worker allows of its connections, and what it counts of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge

from config import Config

SLOW_READER = "slow_reader"
HELD_MAX_BYTES = 64 * 1024 * 1024
FREE_BYTES = 4_096
FIELD_BYTES = 150
"""What a field of a head takes beside its bytes: two bytes objects and a tuple."""
_REFUSALS = ("400", "408", "414", "431", "501", "503", SLOW_READER)


class WireMetrics:
    """Without a registry it counts all the same, and nobody can ask."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        # those that were turned away are not among them
        self.connections = Gauge(
            "content_connections",
            "Open connections.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        refusals = Counter(
            "content_wire_refusals",
            "Connections that were ended for a status, which a client in the midst of an answer "
            "is not told; slow_reader: it did not take what was sent to it.",
            ("status",),
            registry=registry,
        )
        self._refusals = {each: refusals.labels(each) for each in _REFUSALS}

    def refused(self, status: int | str) -> None:
        """Counts one; ``status`` is what the wire refused it with, or ``SLOW_READER``."""
        self._refusals[str(status)].inc()


class Budget:
    """Bytes that the connections of a worker may hold together of requests that have no answer yet.

    FREE_BYTES of each connection do not count, so that ordinary requests are served while others
    hold all that there is. An answered request above FREE_BYTES is forgotten. ``stack.yml`` gives a
    worker 512 MB: CONNECTIONS_MAX connections take about 260 MB with their free bytes, the near
    cache 64 MB. ``python -m bench.held`` measures it.
    """

    def __init__(self, left_bytes: int = HELD_MAX_BYTES) -> None:
        self.left_bytes = left_bytes


@dataclass(frozen=True)
class Wire:
    """What the protocol finds as ``app.state.wire``: the limits are settings, the metrics the
    application's."""

    limits: Config = field(default_factory=Config)
    metrics: WireMetrics = field(default_factory=WireMetrics)
    budget: Budget = field(default_factory=Budget)


@cache
def defaults() -> Wire:
    """For an application that says nothing of its wire."""
    return Wire()
