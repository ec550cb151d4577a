"""What a worker allows of its connections, and what it counts of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge

from config import Config

SLOW_READER = "slow_reader"
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


@dataclass(frozen=True)
class Wire:
    """What the protocol finds as ``app.state.wire``: the limits are settings, the metrics the
    application's."""

    limits: Config = field(default_factory=Config)
    metrics: WireMetrics = field(default_factory=WireMetrics)


@cache
def defaults() -> Wire:
    """For an application that says nothing of its wire."""
    return Wire()
