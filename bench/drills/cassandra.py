"""Cassandra killed and frozen: what is cached is served, the rest is refused at once, and reads are
back as soon as Cassandra is."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

from bench.drills.traffic import mixed, reading, warm
from bench.drills.world import World, said
from bench.lab.asking import ids_of, is_ready, seconds_until
from bench.lab.targets import Service
from bench.load.loops import offered, paced
from bench.load.result import Result

CACHED, CACHED_SHARE = 900, 0.9
KNOWN_S = 3.0
"""After the kill, or after ``/readyz`` says so of a node that only hangs: from here on no request
has to find out by waiting."""
AT_ONCE_S, SLOW_SHARE = 0.05, 0.01
"""A hundredth of the refusals, or one, may take longer, for what else this machine does."""
BACK_S = 1.2


class Outage(NamedTuple):
    """Moments of the monotonic clock, in seconds."""

    what: str
    since_s: float
    told_s: float | None
    known_s: float
    mended_s: float
    answers_s: float
    ready_s: float | None
    until_s: float


def run(world: World) -> None:
    """Judge a kill and a freeze of Cassandra."""
    rate_s, away_s = (100, 2.0) if world.is_short else (300, 8.0)
    node, redis = world.cassandra, world.redis()
    service = world.service(node, redis, **world.patience)
    ids = ids_of(service)
    cached = [reading(each, "cached") for each in ids[:CACHED]]
    warm(service, cached)
    requests = mixed(
        (CACHED_SHARE, itertools.cycle(cached)),
        # each is asked for once, or it would be cached itself
        (1 - CACHED_SHARE, (reading(each, "uncached") for each in ids[CACHED:])),
    )
    with offered(service.host, service.port, paced(requests, rate_s)) as result:
        time.sleep(away_s)
        kill = ("Cassandra killed -9, restarted", node.kill, node.start)
        freeze = ("Cassandra stopped (SIGSTOP), continued", node.pause, node.resume)
        outages = [_outage(world, service, away_s, *how) for how in (kill, freeze)]
    usual = result.tally(until_s=outages[0].since_s)
    world.judge("nothing yet", "no read fails", str(usual), usual.total > 0 and not usual.failed)
    for outage in outages:
        _judge(world, outage, result)


def _tolerance_s(world: World) -> float:
    """Return a tolerance: a machine is busy with the start of Java, and maybe with other tests."""
    return 2.0 if world.is_short else 0.5


def _outage(
    world: World,
    service: Service,
    away_s: float,
    what: str,
    breaks: Callable[[], object],
    mends: Callable[[], object],
) -> Outage:
    since_s = time.monotonic()
    breaks()
    told_s = seconds_until(lambda: is_ready(service, "degraded"))
    known_s = KNOWN_S + (since_s if "killed" in what else time.monotonic())
    time.sleep(max(0.0, known_s - time.monotonic()) + away_s)
    mended_s = time.monotonic()
    mends()
    seconds_until(world.cassandra.answers)
    answers_s = time.monotonic()
    ready_s = seconds_until(lambda: is_ready(service, "ready"))
    time.sleep(away_s + _tolerance_s(world))
    until_s = time.monotonic()
    return Outage(what, since_s, told_s, known_s, mended_s, answers_s, ready_s, until_s)


def _judge(world: World, outage: Outage, result: Result) -> None:
    world.judge(
        outage.what,
        "/readyz: degraded, then ready, by itself",
        f"degraded {said(outage.told_s)}, ready {said(outage.ready_s)} of its answer",
        outage.told_s is not None and outage.ready_s is not None,
    )
    cached = result.tally("cached", outage.since_s, outage.until_s)
    holds = cached.total > 0 and cached.statuses[200] == cached.total and not cached.wrong
    world.judge(outage.what, "cached reads: all 200", str(cached), holds)
    _judge_refusals(world, outage, result)
    due_s = outage.answers_s + BACK_S + _tolerance_s(world)
    back = result.tally("uncached", due_s, outage.until_s)
    lines = result.lines("uncached", outage.mended_s, outage.until_s)
    failed_s = max((line.due_s for line in lines if not line.outcome.is_good), default=None)
    last = "none" if failed_s is None else f"{failed_s - outage.answers_s:+.2f} s"
    world.judge(
        outage.what,
        f"reads are back {BACK_S} s after its answer (tolerance {_tolerance_s(world)} s)",
        f"last failure due {last}; after the bar {back}",
        back.total > 0 and not back.failed,
    )


def _judge_refusals(world: World, outage: Outage, result: Result) -> None:
    """By the service's own time: the client's, beside it, has this machine's queues in it."""
    since_s, until_s = outage.known_s, outage.mended_s
    refused = result.tally("uncached", since_s, until_s)
    lines = list(result.lines("uncached", since_s, until_s))
    slow = sum(line.served_s > AT_ONCE_S for line in lines)
    slow_outside = sum(line.latency_s > AT_ONCE_S for line in lines)
    early = result.tally("uncached", outage.since_s, since_s)
    holds = refused.total > 0 and refused.statuses[503] == refused.total and not refused.wrong
    world.judge(
        outage.what,
        f"other reads: 503, Retry-After, within {AT_ONCE_S * 1000:.0f} ms once it is known "
        f"({SLOW_SHARE:.0%}, or one, may be slower)",
        f"{refused}; slower: {slow}, to the client {slow_outside}; before that {early}",
        holds and slow <= max(1, SLOW_SHARE * refused.total),
    )
