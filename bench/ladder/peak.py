"""How much the top rung takes on schedule: the activity at one rate after another, until it is too
much for the service, or for the generators on the same cores, and which of the two it was."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bench.ladder.machine import beside
from bench.ladder.measure import Load, open_loop
from bench.ladder.rungs import Standing

BAR_MS = 20.0
"""The 99th percentile has to be below this; from the time due, so a queue is in it."""
WARM_S = 8.0
GENERATORS, TRIES = 2, 2
FULL = 0.75
"""Of all cores: above it a process that needs one finds none free for moments at a time."""


def peak(stands: Standing, ids: Path, rates_s: Sequence[int], load: Load) -> dict[str, Any]:
    """Return every try of ``load`` at some rate, and the goodput of the highest that held, or 0.

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
