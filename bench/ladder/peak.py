"""How much the top rung takes on schedule: the activity at one rate after another, until it is too
much for the service, or for the generators on the same cores, and which of the two it was."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.ladder.measure import Load, open_loop
from bench.ladder.others import beside
from bench.ladder.rungs import Standing

BAR_MS = 20.0
"""The 99th percentile has to be below this; from the time due, so a queue is in it."""
BAR_S = 14_000
"""Requests a second that it is hoped to hold: ten times what the original published."""
WARM_S = 8.0
GENERATORS = 2
FULL = 0.75
"""Of all cores: above it whoever wants one finds none free for moments at a time."""


class Peak:
    """Tries rates; ``tried`` has every try. One that does not hold is tried again, at most
    ``tries`` times, as a moment of the machine may spoil it."""

    def __init__(self, stands: Standing, ids: Path, load: Load, tries: int) -> None:
        self._stands, self._ids, self._load, self._tries = stands, ids, load, tries
        self.tried: list[dict[str, Any]] = []

    def holds(self, rate_s: float) -> bool:
        """Whether one of the tries at that rate held."""
        load = self._load._replace(rate_s=rate_s)
        label = f"{rate_s:,}/s"
        for _ in range(self._tries):
            measure = partial(open_loop, self._stands, self._ids, load, label)
            seen = beside(self._stands.bearers, measure)
            seen |= {"holds": holds(seen), "verdict": verdict(seen)}
            self.tried.append(seen)
            print(f"  {label}: {told(seen)}", flush=True)
            if seen["holds"]:
                return True
        return False


def peak(
    stands: Standing, ids: Path, rates_s: Sequence[int], load: Load, tries: int
) -> dict[str, Any]:
    """Every try of ``load`` at some rate, and the goodput of the highest that held; 0: none did.
    From the bar upward to the first that does not hold, or downward to the first that does."""
    print(f"  how much on schedule, {load.write_share:.1%} of it writes?", flush=True)
    found = Peak(stands, ids, load, tries)
    climbed = [rate_s for rate_s in sorted(rates_s) if rate_s >= BAR_S]
    if not climbed or not _while_holding(found, climbed):
        below = (rate_s for rate_s in sorted(rates_s, reverse=True) if rate_s < BAR_S)
        any(map(found.holds, below))
    held_s = max((each["goodput_s"] for each in found.tried if each["holds"]), default=0.0)
    share = load.write_share
    return {"bar_ms": BAR_MS, "write_share": share, "held_s": held_s, "tried": found.tried}


def _while_holding(found: Peak, rates_s: Sequence[int]) -> bool:
    """Whether any held."""
    for at, rate_s in enumerate(rates_s):
        if not found.holds(rate_s):
            return at > 0
    return True


def holds(seen: dict[str, Any]) -> bool:
    """All right, in time, and no generator late."""
    in_time = seen["latency_ms"]["99"] <= BAR_MS
    return bool(in_time and not seen["failed"] and not seen["generator_was_the_limit"])


def verdict(seen: dict[str, Any]) -> str:
    """What became of a try, and what was the limit."""
    if holds(seen):
        return "holds"
    if seen["cores"] + seen["generator_cores"] + seen["others_cores"] > FULL * (
        os.cpu_count() or 1
    ):
        return "no core was left"
    return "the generators were the limit" if seen["generator_was_the_limit"] else "too much"


def told(seen: dict[str, Any]) -> str:
    """A try in a line."""
    late = f"{seen['late']:,} left late by up to {seen['worst_slip_ms']:.0f} ms"
    return (
        f"{seen['verdict']}: {seen['goodput_s']:,.0f} good/s, "
        f"p99 {seen['latency_ms']['99']:.1f} ms, {seen['failed']} failed, {late}; cores used: "
        f"servers {seen['cores']:.2f}, generators {seen['generator_cores']:.2f}, "
        f"others {seen['others_cores']:.2f}"
    )
