"""Measure a rung: the activity on schedule, the limit, and the highest rate that the rung bears on
schedule.

CPU is each process's own, all of it from the first request to the last answer, over the requests
answered: what a JVM does besides is in it.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from hdrh.histogram import HdrHistogram

from bench.lab.spawn import ServerError
from bench.ladder.machine import beside
from bench.ladder.rungs import Standing
from bench.load import wrk
from bench.load.__main__ import DEADLINE_S, LATE_SHARE, run
from bench.load.activity import Behaviour, reads
from bench.load.loops import closed
from bench.load.result import DIGITS, LONGEST_US
from bench.load.wire import Request

FILLERS = 16
PERCENTS = (50, 90, 99, 99.9, 99.99, 100)
CACHES = ("near", "redis", "nginx-HIT")
COUNTED = ("requests", "good", "failed", "wrong", "late")

BAR_MS = 20.0
"""The 99th percentile has to be below this; from the time due, so a queue is in it."""
PEAK_WARM_S = 8.0
GENERATORS, TRIES = 2, 2
FULL = 0.75
"""Of all cores: above it a process that needs one finds none free for moments at a time."""


class Load(NamedTuple):
    """What is offered; ``processes`` generators have an equal part each."""

    behaviour: Behaviour
    warm_s: float
    seconds: float
    processes: int = 1


def open_loop(stands: Standing, ids: Path, load: Load) -> dict[str, Any]:
    """Offer the activity at its rate, and return the result."""
    before, rate_s = _used(stands), load.behaviour.rate_s
    behaviour = replace(load.behaviour, rate_s=rate_s / load.processes)
    with ProcessPoolExecutor(load.processes, get_context("spawn")) as generators:
        where = stands.entry.host, stands.entry.port, ids
        offer = partial(run, *where, behaviour, warm_s=load.warm_s, seconds=load.seconds)
        parts = [generators.submit(offer, part=part) for part in range(load.processes)]
        seen = [each.result() for each in parts]
    whole_s = load.warm_s + load.seconds
    summary = summed(seen, load.seconds)
    answers = summary["requests"] * whole_s / load.seconds  # about: those of the warm-up as well
    return {
        "rate_s": rate_s,
        "seconds": load.seconds,
        "generators": load.processes,
        **summary,
        "cpu_us": _per_request(before, _used(stands), answers),
        "cores": round(sum(_used(stands).values()) - sum(before.values()), 3) / whole_s,
        "generator_cores": sum(each["generator_cpu_s"] for each in seen) / whole_s,
    }


def summed(seen: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return the sum of several generators, with percentiles in milliseconds."""
    latency_us = HdrHistogram(1, LONGEST_US, DIGITS)
    for each in seen:
        latency_us.decode_and_add(each["latency_us"].encode())
    counts = {name: sum(each[name] for each in seen) for name in COUNTED}
    layers, errors = (
        sum((Counter(each[name]) for each in seen), Counter[str]()) for name in ("layers", "errors")
    )
    rows = layers.total() or 1
    return {
        **counts,
        "goodput_s": counts["good"] / seconds,
        "deadline_ms": DEADLINE_S * 1000,
        "worst_slip_ms": max(each["worst_slip_s"] for each in seen) * 1000,
        "generator_was_the_limit": counts["late"] > LATE_SHARE * counts["requests"],
        "errors": dict(errors),
        "layers": {name: times / rows for name, times in layers.most_common()},
        "cached": sum(layers[name] for name in CACHES) / rows,
        "latency_ms": {
            str(each): round(float(latency_us.get_value_at_percentile(each)) / 1000, 3)
            for each in PERCENTS
        },
    }


def limit(stands: Standing, requests: Path, ids: Path, seconds: int) -> dict[str, Any]:
    """Ask for as many of the activity's reads as are answered, by wrk or our own closed loop.

    The own loop is slower than what it asks, and the result says which it was. Statuses are checked
    here; bodies are by the open loop.
    """
    before = _used(stands)
    try:
        seen, by = wrk.run(wrk.command(stands.entry.url, seconds, "replay.lua", requests)), "wrk"
    except ServerError:
        seen, by = _closed(stands, ids, seconds), "our closed loop"
    rate_s = seen.requests / seen.seconds
    cpu_us = _per_request(before, _used(stands), seen.requests)
    return {
        "by": by,
        "requests": seen.requests,
        "failed": seen.failed,
        "requests_s": rate_s,
        "goodput_s": rate_s * (1 - seen.failed / max(1, seen.requests)),
        "connections": wrk.CONNECTIONS,
        "cpu_us": cpu_us,
        "cpu_us_total": sum(cpu_us.values()),
    }


def peak(stands: Standing, ids: Path, rates_s: Sequence[int], load: Load) -> dict[str, Any]:
    """Return every try of ``load`` at some rate, and the goodput of the highest that held, or 0.

    A rate may be too much for the service, or for the generators on the same cores.

    The rates are tried up to the first that fails twice, as a moment of the machine may spoil a
    try.
    """
    share = load.behaviour.write_share
    print(f"  how much on schedule, {share:.1%} of it writes?", flush=True)
    tried: list[dict[str, Any]] = []
    for rate_s in rates_s:
        rated = load._replace(behaviour=replace(load.behaviour, rate_s=rate_s))
        for _ in range(TRIES):
            seen = beside(stands.bearers, partial(open_loop, stands, ids, rated))
            tried.append({**seen, "holds": holds(seen), "verdict": verdict(seen)})
            print(
                f"  {rate_s:,}/s: {verdict(seen)}: {seen['goodput_s']:,.0f} good/s, "
                f"p99 {seen['latency_ms']['99']:.1f} ms",
                flush=True,
            )
            if holds(seen):
                break
        else:
            break
    held_s = max((each["goodput_s"] for each in tried if each["holds"]), default=0.0)
    return {"bar_ms": BAR_MS, "write_share": share, "held_s": held_s, "tried": tried}


def holds(seen: dict[str, Any]) -> bool:
    """Return whether all answers were right and in time, and no generator was late."""
    in_time = seen["latency_ms"]["99"] <= BAR_MS
    return bool(in_time and not seen["failed"] and not seen["generator_was_the_limit"])


def verdict(seen: dict[str, Any]) -> str:
    """Return whether a try holds, and else its limit."""
    if holds(seen):
        return "holds"
    used = seen["cores"] + seen["generator_cores"] + seen["others_cores"]
    if used > FULL * (os.cpu_count() or 1):
        return "no core was left"
    return "the generators were the limit" if seen["generator_was_the_limit"] else "too much"


def fill(stands: Standing, ids: Path) -> None:
    """Ask for every row once, so that the caches are as full as on a site after an hour.

    The near cache forgets within seconds, by design.
    """
    requests = (Request(f"/content/{each}") for each in ids.read_text().split())
    entry = stands.entry
    tally = closed(entry.host, entry.port, requests, float("inf"), FILLERS).tally()
    print(f"  filled with {tally.total:,} rows", flush=True)


def _closed(stands: Standing, ids: Path, seconds: int) -> wrk.Seen:
    began_s, entry = time.monotonic(), stands.entry
    requests = cycle(reads(ids.read_text().split()))
    tally = closed(entry.host, entry.port, requests, seconds, wrk.CONNECTIONS).tally()
    return wrk.Seen(tally.total, tally.failed, time.monotonic() - began_s)


def _used(stands: Standing) -> dict[str, float]:
    """Return the CPU seconds so far by role."""
    return {role: sum(each.cpu_s() for each in servers) for role, servers in stands.roles.items()}


def _per_request(
    before: dict[str, float], after: dict[str, float], requests: float
) -> dict[str, float]:
    used = {role: after[role] - before[role] for role in after}
    return {role: round(cpu_s / max(1, requests) * 1e6, 2) for role, cpu_s in used.items()}
