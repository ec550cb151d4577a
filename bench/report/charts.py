"""The charts, each a function from rungs to SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.svg import SERIES, WIDTH, curve, drawing, figure, rect, rule, text

Rungs = Sequence[Mapping[str, Any]]

NAMES, VALUES = 88, 62  # left of the bars, and right of the longest
ROW, BAR, TOP = 24, 15, 8
LEFT, RIGHT, PLOT_TOP, PLOT = 38, 8, 8, 190
LAYERS = {"near": 0, "collapsed": 4, "redis": 2, "store": 1}
ROLES = {"service": 0, "koa": 6, "nginx": 7, "balancer": 3, "redis": 2, "cassandra": 1}


def ladder(rungs: Rungs, *, alone: bool = False) -> str:
    """Most right answers a second of each rung."""
    values = [rung["limit"]["goodput_s"] for rung in rungs]
    return bars(rungs, values, ",.0f", "requests/s at the limit", alone=alone)


def bars(
    rungs: Rungs, values: Sequence[float], shape: str, unit: str, *, alone: bool = False
) -> str:
    """A value a rung, on a linear scale from nothing."""
    most = max(values, default=1) or 1
    room = WIDTH - NAMES - VALUES
    parts = []
    for at, (rung, value) in enumerate(zip(rungs, values, strict=True)):
        y = TOP + at * ROW
        width = room * value / most
        parts += [
            text(NAMES - 6, y + 12, rung["name"], "end"),
            rect(NAMES, y, width, BAR, "peer" if rung["is_peer"] else "f0"),
            figure(NAMES + width + 5, y + 12, value, f"{value:{shape}}"),
        ]
    y = TOP + len(rungs) * ROW + 10
    parts.append(text(NAMES, y, f"{unit}; grey: peers", "soft"))
    return drawing(parts, y + 8, f"By rung, {unit}", alone=alone)


def stacks(
    rungs: Rungs, of: Sequence[Mapping[str, float]], colours: Mapping[str, int], unit: str
) -> str:
    """A bar a rung, made of the parts that ``of`` has for it; with a legend."""
    totals = [sum(parts.values()) for parts in of]
    most = max(totals, default=1) or 1
    is_share = unit == "%"
    room = WIDTH - NAMES - (8 if is_share else VALUES)
    drawn, seen = [], dict.fromkeys(name for name in colours if any(name in each for each in of))
    for at, (rung, parts, total) in enumerate(zip(rungs, of, totals, strict=True)):
        x, y = float(NAMES), TOP + at * ROW
        drawn.append(text(NAMES - 6, y + 12, rung["name"], "end"))
        for name in [*seen, *(set(parts) - set(seen))]:
            width = room * parts.get(name, 0.0) / (total if is_share else most)
            if width > 0:
                drawn.append(rect(x, y, width, BAR, f"f{colours.get(name, 7)}"))
            x += width
        if not is_share:
            drawn.append(figure(x + 5, y + 12, total, f"{total:,.0f} {unit}"))
    foot = TOP + len(rungs) * ROW + 2
    others = {name for parts in of for name in parts} - set(seen)
    names = [(name, colours[name]) for name in seen] + [(name, 7) for name in sorted(others)]
    legend, height = legend_of([(name, f"f{at}", False) for name, at in names], foot)
    return drawing([*drawn, *legend], height, f"By rung, in {unit}")


def legend_of(entries: Sequence[tuple[str, str, bool]], y: float) -> tuple[list[str], float]:
    """Names with their colours in lines below ``y``; where it ends."""
    parts, x = [], 8.0
    for name, look, is_dashed in entries:
        width = 26 + 7.2 * len(name)
        if x + width > WIDTH:
            x, y = 8.0, y + 17
        parts += [
            rect(x, y + 4, 5 if is_dashed else 11, 9, look),
            text(x + 15, y + 13, name, "soft"),
        ]
        x += width
    return parts, y + 22


def percentiles(rungs: Rungs) -> str:
    """Latency by percentile; both axes are logarithmic, the lower one in what is above."""
    shares = [(0, "0 %"), (90, "90"), (99, "99"), (99.9, "99.9"), (99.99, "99.99")]

    def x_of(percent: float) -> float:
        nines = -math.log10(1 - percent / 100)
        return LEFT + (WIDTH - LEFT - RIGHT) * nines / 4

    curves = [[(x_of(at), ms) for at, ms in rung["open"]["curve_ms"]] for rung in rungs]
    ticks = [(x_of(percent), name) for percent, name in shares]
    return _plot(rungs, curves, ticks, "Latency by percentile, in milliseconds")


def over_time(rungs: Rungs) -> str:
    """The 99th percentile of every second."""
    seconds = max((len(rung["open"]["timeline_ms"]) for rung in rungs), default=1)
    step = (WIDTH - LEFT - RIGHT) / max(1, seconds - 1)
    curves = [
        [(LEFT + at * step, p99) for at, (_, p99) in enumerate(rung["open"]["timeline_ms"])]
        for rung in rungs
    ]
    every = max(1, seconds // 4)
    ticks = [(LEFT + at * step, f"{at + 1} s") for at in range(0, seconds, every)]
    return _plot(rungs, curves, ticks, "p99 of each second, in milliseconds")


def _plot(
    rungs: Rungs,
    curves: Sequence[Sequence[tuple[float, float]]],
    ticks: Sequence[tuple[float, str]],
    title: str,
) -> str:
    """Curves over a logarithmic axis of milliseconds."""
    values = [max(ms, 0.01) for points in curves for _, ms in points] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high = max(high, low + 1)

    def y_of(ms: float) -> float:
        return PLOT_TOP + PLOT * (high - math.log10(max(ms, 0.01))) / (high - low)

    parts = []
    for power in range(low, high + 1):
        y = y_of(10.0**power)
        parts += [
            rule(LEFT, y, WIDTH - RIGHT, y),
            text(LEFT - 5, y + 4, f"{10.0**power:g}", "end soft"),
        ]
    for x, name in ticks:
        where = "end soft" if x > WIDTH - 30 else "mid soft"
        parts.append(text(min(x, WIDTH - RIGHT), PLOT_TOP + PLOT + 16, name, where))
    legend = []
    for at, (rung, points) in enumerate(zip(rungs, curves, strict=True)):
        is_dashed = rung["is_peer"] or at >= SERIES
        look = f"l{at % SERIES}{' dash' * is_dashed}"
        parts.append(curve(((x, y_of(ms)) for x, ms in points), look))
        legend.append((rung["name"], f"f{at % SERIES}", is_dashed))
    entries, y = legend_of(legend, PLOT_TOP + PLOT + 22)
    return drawing([*parts, *entries], y, title)
