"""The figures of a run as tables of Markdown, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = (
    "| rung | requests/s at the limit | the runs | factor | CPU us/request | p50 ms | p99 ms "
    "| holds requests/s | from a cache |\n|---|---|---|---|---|---|---|---|---|"
)
VERDICTS = {True: "pass", False: "FAIL", None: "open"}


def table(result: Mapping[str, Any]) -> str:
    """Return a line a rung, and a line for each that was left out.

    Limit and CPU are of the run in the middle; latencies and layers are of the lowest rate.
    """
    lines = [HEAD]
    for rung in result["rungs"]:
        seen, most = rung["steps"][0], rung["limit"]
        latency = (seen["latency_ms"].get(each) for each in ("50", "99"))
        cells = (
            rung["name"],
            f"{most['goodput_s']:,.0f}",
            f"{most['least_s']:,.0f}-{most['most_s']:,.0f}",
            f"x {rung['factor']:.2f} of {rung['against']}" if rung["factor"] else "",
            f"{most['cpu_us_total']:,.0f}",
            *("" if each is None else f"{each:.1f}" for each in latency),
            f"{rung['held_s']:,.0f}",
            f"{seen['cached']:.0%}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"| {left['name']} | left out: {left['why']} |" for left in result["left_out"]]
    return "\n".join(lines)


def bound_of(bar: Mapping[str, Any]) -> str:
    """Return whether a figure has to be ``at least`` or ``at most`` the bar's."""
    return "at least" if "at least" in bar else "at most"


def shape_of(bar: Mapping[str, Any]) -> str:
    """Return the format of the figure found: a share has decimals, a count has none."""
    return ",.0f" if float(bar["found"]).is_integer() else ",.2f"


def bars(result: Mapping[str, Any]) -> str:
    """Return a line a bar."""
    lines = ["| bar | | found | |\n|---|---|---|---|"]
    for bar in result["bars"]:
        bound = bound_of(bar)
        found = "not measured" if bar["found"] is None else f"{bar['found']:{shape_of(bar)}}"
        verdict = VERDICTS[bar["met"]]
        lines.append(f"| {bar['bar']} | {bound} {bar[bound]:,} | {found} | {verdict} |")
    return "\n".join(lines)
