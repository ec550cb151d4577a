"""An outage of a server under load, and the judgement that Redis and Cassandra have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from bench.drills.world import World, said
from bench.lab.asking import is_ready, seconds_until
from bench.lab.targets import Service


class Outage(NamedTuple):
    """Moments of the monotonic clock, and how long ``/readyz`` took to say so, in seconds."""

    what: str
    since_s: float
    degraded_s: float | None
    mending_s: float
    mended_s: float
    ready_s: float | None
    until_s: float


def suffer(
    service: Service,
    what: str,
    breaks: Callable[[], object],
    mends: Callable[[], object],
    meanwhile: Callable[[], object],
    after_s: float,
) -> Outage:
    """Break a server, do ``meanwhile`` once the service has noticed, mend it, and wait."""
    since_s = time.monotonic()
    breaks()
    degraded_s = seconds_until(lambda: is_ready(service, "degraded"))
    meanwhile()
    mending_s = time.monotonic()
    mends()
    mended_s = time.monotonic()
    ready_s = seconds_until(lambda: is_ready(service, "ready"))
    time.sleep(after_s)
    return Outage(what, since_s, degraded_s, mending_s, mended_s, ready_s, time.monotonic())


def judge_state(world: World, outage: Outage) -> None:
    """Judge whether the service tells its state, and mends it."""
    world.judge(
        outage.what,
        "/readyz: degraded, then ready, by itself",
        f"degraded {said(outage.degraded_s)}, ready {said(outage.ready_s)} of its answer",
        outage.degraded_s is not None and outage.ready_s is not None,
    )
