"""The bars of the ladder: what a run has to show, in one table, and whether it does.

A bar stays open where a rung that it needs was left out, or was not offered enough.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

from bench.ladder.rungs import TOP

ORIGINAL_S = 1_400
"""Requests/s that the original published, at 115 ms, with Redis and three web nodes."""
LEAST, MOST = "at least", "at most"

Rungs = Mapping[str, Mapping[str, Any]]


class Bar(NamedTuple):
    """``found`` reads a figure from the rungs by name; KeyError if it was not measured."""

    name: str
    bound: str
    value: float
    found: Callable[[Rungs], float]


def judged(rungs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each bar with the figure found, and whether it is met; None if it stays open."""
    by_name = {rung["name"]: rung for rung in rungs}
    judged = []
    for name, bound, value, read in BARS:
        found = met = None
        with suppress(KeyError, ZeroDivisionError):
            found = read(by_name)
            met = found >= value if bound == LEAST else found <= value
        judged.append({"name": name, "bound": bound, "value": value, "found": found, "met": met})
    return judged


def _ours(rungs: Rungs) -> list[Mapping[str, Any]]:
    return [rung for rung in rungs.values() if rung["figure"] != "peers"]


def _wrong(rungs: Rungs) -> float:
    return float(sum(step["wrong"] for rung in _ours(rungs) for step in rung["steps"]))


def _failed(rungs: Rungs) -> float:
    lowest = [rung["steps"][0] for rung in _ours(rungs)]
    shares = (step["failed"] / max(1, step["requests"]) for step in lowest)
    at_the_limit = any(rung["limit"]["goodput_s"] == 0 for rung in _ours(rungs))
    return 100 * float(max([*shares, at_the_limit]))


def _ratio(one: str, other: str) -> Callable[[Rungs], float]:
    def found(rungs: Rungs) -> float:
        return float(rungs[one]["limit"]["goodput_s"] / rungs[other]["limit"]["goodput_s"])

    return found


def _least_gain(rungs: Rungs) -> float:
    layers = ("Cassandra", "+ Redis", "+ near cache", TOP)
    return min(_ratio(one, before)(rungs) for before, one in pairwise(layers))


def _uncached_cost(rungs: Rungs) -> float:
    ours, koa = (rungs[name]["limit"]["cpu_us"] for name in ("Cassandra", "Koa uncached"))
    return float(ours["service"] / koa["koa"])


def _held(rungs: Rungs) -> float:
    steps = rungs[TOP]["steps"]
    if steps[-1]["holds"] and steps[-1]["rate_s"] < 10 * ORIGINAL_S:
        raise KeyError(ORIGINAL_S)
    return float(rungs[TOP]["held_s"])


BARS = (
    Bar("wrong answers on schedule, all rungs of ours", MOST, 0, _wrong),
    Bar("% of requests that failed at the lowest rate, our worst rung", MOST, 1, _failed),
    Bar("requests/s, a cache layer : the rung before, the least of three", LEAST, 1.1, _least_gain),
    Bar("requests/s, + fast lane : Koa + Redis", LEAST, 2.5, _ratio(TOP, "Koa + Redis")),
    Bar("requests/s, Cassandra : Koa uncached", LEAST, 1.5, _ratio("Cassandra", "Koa uncached")),
    Bar("CPU of the service, Cassandra : Koa uncached", MOST, 0.6, _uncached_cost),
    Bar("requests/s that + fast lane holds; the original's x 10", LEAST, 10 * ORIGINAL_S, _held),
)
