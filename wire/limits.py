"""The limits of a worker's connections, and the metrics that count connections and refusals."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from prometheus_client import CollectorRegistry, Counter

from config import Config
from metrics import gauge

SLOW_READER = "slow_reader"
HELD_MAX_BYTES = 64 * 1024 * 1024
FREE_BYTES = 4_096
FIELD_BYTES = 150
"""Memory that a header takes beside its characters: two bytes objects and a tuple."""
_REFUSALS = ("400", "408", "414", "431", "501", "503", SLOW_READER)


class WireMetrics:
    """The metrics of a worker's connections. Without ``registry`` nothing exports them."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        # without connections above connections_max, which are refused at once
        self.connections = gauge("content_connections", "Open connections.", registry)
        refusals = Counter(
            "content_wire_refusals",
            "Connections that were ended for a status, which a client in the midst of an answer "
            "is not told; slow_reader: it did not take what was sent to it.",
            ("status",),
            registry=registry,
        )
        self._refusals = {each: refusals.labels(each) for each in _REFUSALS}

    def refused(self, status: int | str) -> None:
        """Count one refused connection. ``status``: that of the refusal, or ``SLOW_READER``."""
        self._refusals[str(status)].inc()


class Budget:
    """Bytes that a worker's connections may hold together for requests without an answer.

    The first FREE_BYTES of each connection do not count, so ordinary requests are served when the
    budget is used up. A request above FREE_BYTES is forgotten once it is answered. ``stack.yml``
    gives a worker 512 MB: CONNECTIONS_MAX connections take about 260 MB with their free bytes, the
    near cache 64 MB. ``python -m bench.held`` measures the connections.
    """

    def __init__(self, left_bytes: int = HELD_MAX_BYTES) -> None:
        self.left_bytes = left_bytes


@dataclass(frozen=True)
class Wire:
    """The limits, metrics and budget of all connections of an application.

    The protocol reads them from ``app.state.wire``.
    """

    limits: Config = field(default_factory=Config)
    metrics: WireMetrics = field(default_factory=WireMetrics)
    budget: Budget = field(default_factory=Budget)


@cache
def defaults() -> Wire:
    """Return the ``Wire`` that applications without ``app.state.wire`` share."""
    return Wire()
