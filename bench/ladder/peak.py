"""How much the top rung takes on schedule: the activity at one rate after another, until it is too
much for the service, or for the generators on the same cores, and which of the two it was."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.ladder.measure import Load, open_loop
from bench.ladder.others import beside
from bench.ladder.rungs import Standing

BAR_MS = 20.0
"""The 99th percentile has to be below this; from the time due, so a queue is in it."""
WARM_S = 4.0
GENERATORS = 2


def peak(
    stands: Standing,
    ids: Path,
    rates_s: Sequence[int],
    seconds: float,
    seed: int,
    tries: int,
) -> dict[str, Any]:
    """Every rate that was tried, and the highest that held; 0: none did. One that does not hold is
    tried again, at most so often, and a moment of the machine may spoil one: after two it is over.
    """
    tried: list[dict[str, Any]] = []
    for rate_s in rates_s:
        load = Load(rate_s, WARM_S, seconds, GENERATORS, seed)
        label = f"{rate_s:,}/s"
        for _ in range(tries):
            seen = beside(stands.bearers, partial(open_loop, stands, ids, load, label))
            seen["holds"] = holds(seen)
            tried.append(seen)
            print(f"  {rate_s:,}/s: {verdict(seen)}", flush=True)
            if seen["holds"]:
                break
        if len({each["rate_s"] for each in tried} - {each["rate_s"] for each in _held(tried)}) > 1:
            break
    held_s = max((each["goodput_s"] for each in _held(tried)), default=0.0)
    return {"bar_ms": BAR_MS, "held_s": held_s, "tried": tried}


def _held(tried: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in tried if each["holds"]]


def holds(seen: dict[str, Any]) -> bool:
    """All right, in time, and no generator late."""
    in_time = seen["latency_ms"]["99"] <= BAR_MS
    return bool(in_time and not seen["failed"] and not seen["generator_was_the_limit"])


def verdict(seen: dict[str, Any]) -> str:
    words = "holds" if seen["holds"] else "too much"
    if seen["generator_was_the_limit"]:
        words = "the generators were the limit"
    late = f", {seen['late']:,} left late by up to {seen['worst_slip_ms']:.0f} ms"
    return (
        f"{words}: {seen['goodput_s']:,.0f} good/s, p99 {seen['latency_ms']['99']:.1f} ms, "
        f"{seen['failed']} failed{late if seen['late'] else ''}; cores used: "
        f"servers {seen['cores']:.2f}, generators {seen['generator_cores']:.2f}, "
        f"others {seen['others_cores']:.2f}"
    )
