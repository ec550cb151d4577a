"""Clients that mean harm: everybody else's answers stay quick, and the service stays as it is."""

from __future__ import annotations

import time
from collections import Counter

from bench.drills.hostility import Crowd, hostile
from bench.drills.traffic import reading, warm, zipf
from bench.drills.world import World
from bench.lab.asking import ids_of
from bench.lab.processes import Server
from bench.load.loops import offered, paced
from bench.load.result import Result, Tally

ROUNDS = 2
GROWTH_BYTES = 20_000_000
TIMES, FLOOR_S, SHORT_FLOOR_S = 2.0, 0.01, 0.05
"""Twice what a quiet machine shows is often nothing but a busy one: a p99 below the floor counts as
the floor. The short form has few requests, and other tests beside it."""
SAMPLE_S = 0.1
KEYS = 1_000


def _watch(server: Server, seconds: float) -> int:
    """Return the most memory that it has within ``seconds``."""
    end_s, most = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        most = max(most, server.resident_bytes())
        time.sleep(SAMPLE_S)
    return most


def run(world: World) -> None:
    """Judge the answers of others, and the memory, under attack."""
    rate_s, seconds = (150, 2.5) if world.is_short else (300, 15.0)
    service = world.service(world.cassandra, world.redis())
    rows = [reading(each) for each in ids_of(service)[:KEYS]]
    warm(service, rows)
    crowd, counts = Crowd(), Counter[str]()
    phases: list[tuple[bool, float, float]] = []
    with offered(service.host, service.port, paced(zipf(rows), rate_s)) as result:
        time.sleep(1)
        before, most = service.resident_bytes(), 0
        for _ in range(ROUNDS):
            began_s = time.monotonic()
            most = max(most, _watch(service, seconds))
            phases.append((False, began_s, time.monotonic()))
            with hostile(service, crowd, counts):
                began_s = time.monotonic()
                most = max(most, _watch(service, seconds))
                phases.append((True, began_s, time.monotonic()))
    what = (
        f"{crowd.lorises} slow lorises, {crowd.stalled} stalled bodies, "
        f"{crowd.long_heads} x 20 MB of headers, {crowd.many_headers} x 100,000 headers"
    )
    _judge_reads(world, what, _summed(result, phases, False), _summed(result, phases, True))
    world.judge(
        what,
        f"memory stays within {GROWTH_BYTES / 1e6:.0f} MB",
        f"{before / 1e6:.0f} MB before, at most {most / 1e6:.0f} MB",
        most - before <= GROWTH_BYTES,
    )
    begun = sum(number for name, number in counts.items() if name.endswith("begun"))
    world.judge(what, "the attacks arrive", told(counts), begun >= ROUNDS * sum(crowd))


def _summed(result: Result, phases: list[tuple[bool, float, float]], is_hostile: bool) -> Tally:
    tally = Tally()
    for kind, since_s, until_s in phases:
        if kind == is_hostile:
            for line in result.lines(since_s=since_s, until_s=until_s):
                tally.add(line)
    return tally


def _judge_reads(world: World, what: str, quiet: Tally, attacked: Tally) -> None:
    world.judge(
        what,
        "no read of others fails",
        str(attacked),
        attacked.total > 0 and not attacked.failed and not quiet.failed,
    )
    floor_s = SHORT_FLOOR_S if world.is_short else FLOOR_S
    usual_s, worst_s = quiet.percentile_s(99), attacked.percentile_s(99)
    world.judge(
        what,
        f"p99 of others at most x {TIMES:g} (of {floor_s * 1000:.0f} ms at least)",
        f"{usual_s * 1000:.1f} ms before, {worst_s * 1000:.1f} ms during",
        worst_s <= TIMES * max(usual_s, floor_s),
    )


def told(counts: Counter[str]) -> str:
    """Return counts in a line."""
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
