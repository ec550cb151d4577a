"""The drawings of the report as SVG, which needs no script.

Colours are classes, so that one style sheet serves light and dark, in the page and in a file alone.
A layer has the colour that the page ``/demo`` gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import log10
from typing import Any

Rungs = Sequence[Mapping[str, Any]]

COLOURS = {  # in light, and in dark
    "near": ("#14926f", "#4fc3a1"),
    "redis": ("#d2552f", "#f0846a"),
    "store": ("#2f6fdc", "#6ea8fe"),
    "collapsed": ("#7c54d1", "#b99af5"),
    "stale": ("#a87800", "#e2b64b"),
    "service": ("#3c4554", "#d3d9e3"),
    "balancer": ("#b0447f", "#e58bb8"),
    "peer": ("#8b95a1", "#7d8794"),
}
PAGE = {
    "paper": ("#fff", "#101217"),
    "card": ("#f7f7f9", "#1a1d24"),
    "ink": ("#17191f", "#f0f1f4"),
    "soft": ("#5a6270", "#a6adba"),
    "line": ("#dcdfe6", "#2b303b"),
}
LOOKS = {
    "embedded": "store pale",
    "Cassandra": "store",
    "+ Redis": "redis",
    "+ near cache": "near",
    "+ fast lane": "service",
    "1 replica": "balancer",
    "2 replicas": "balancer pale",
    "3 replicas": "balancer faint",
    "Koa uncached": "store dashed",
    "Koa + Redis": "redis dashed",
    "nginx": "service dashed",
}
"""Of each rung; a peer is dashed, in the colour of the rung whose work it does."""
ROLES = {"cassandra": "store", "koa": "peer", "nginx": "peer pale"}
"""Colours of processes that have another name than their colour."""


def _variables(scheme: int) -> str:
    pairs = {**COLOURS, **PAGE}.items()
    return "".join(f"--{name}:{colours[scheme]};" for name, colours in pairs)


RULES = """
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}
svg .end{text-anchor:end}svg .mid{text-anchor:middle}svg rect,svg circle{fill:currentColor}
svg .ring{fill:var(--card);stroke:currentColor;stroke-dasharray:none}
.pale{opacity:.6}.faint{opacity:.35}
.curve{fill:none;stroke:currentColor;stroke-width:1.8}.dashed{stroke-dasharray:5 3}
.grid{stroke:var(--line)}.bar{stroke:var(--soft);stroke-dasharray:2 3}.spread{stroke:var(--ink)}
"""
STYLE = (
    f"\n:root{{{_variables(0)}}}\n@media(prefers-color-scheme:dark){{:root{{{_variables(1)}}}}}"
    + RULES
    + "".join(f".{name}{{color:var(--{name})}}" for name in COLOURS)
)

WIDTH = 360  # about a phone's; a wider screen has several charts beside each other
NAMES, VALUES = 96, 100  # left of the bars, and right of the longest bar
ROW, BAR, TOP = 24, 15, 8
LEFT, PLOT = 58, 200  # of curves
LEAST_MS, MOST_MS = 0.5, 1_000.0


def bar_look(rung: Mapping[str, Any]) -> str:
    """Return the class of a rung's bar; a peer is grey."""
    return "peer" if rung["figure"] == "peers" else LOOKS[rung["name"]]


def ladder(rungs: Rungs) -> str:
    """Draw the answers a second of each rung at the limit, with their spread, as a file alone."""
    most = max((rung["limit"]["most_s"] for rung in rungs), default=1) or 1
    per = (WIDTH - NAMES - VALUES) / most
    drawn = []
    for at, rung in enumerate(rungs):
        seen, y = rung["limit"], TOP + at * ROW
        drawn.append(text(NAMES - 6, y + 12, rung["name"], "end"))
        drawn.append(_rect(NAMES, y, per * seen["goodput_s"], BAR, bar_look(rung)))
        ends = NAMES + per * seen["least_s"], NAMES + per * seen["most_s"]
        drawn.append(f'<path d="M{ends[0]:.1f} {y + 7.5}H{ends[1]:.1f}" class="spread"/>')
        drawn.append(_figure(ends[1] + 5, y + 12, seen["goodput_s"], "/s"))
        if rung["factor"]:
            drawn.append(text(WIDTH - 4, y + 12, f"\u00d7 {rung['factor']:.1f}", "end soft"))
    title = "Requests a second at the limit, and the factor to the rung before"
    return _drawing(drawn, TOP + len(rungs) * ROW, title, alone=True)


def stacks(
    rungs: Rungs, of: Sequence[Mapping[str, float]], colours: Mapping[str, str], unit: str
) -> str:
    """Draw a bar a rung, made of the parts that ``of`` has for the rung, with a legend.

    With the unit ``%`` every bar has the whole width, and no figure beside it.
    """
    totals = [sum(parts.values()) for parts in of]
    most, is_share = max(totals, default=1) or 1, unit == "%"
    room = WIDTH - NAMES - (8 if is_share else 62)
    seen = {name for parts in of for name in parts}
    looks = {name: colours.get(name, name) for name in sorted(seen, key=_place)}
    drawn = []
    for at, (rung, parts, total) in enumerate(zip(rungs, of, totals, strict=True)):
        x, y = float(NAMES), TOP + at * ROW
        drawn.append(text(NAMES - 6, y + 12, rung["name"], "end"))
        for name, look in looks.items():
            width = room * parts.get(name, 0.0) / (total if is_share else most)
            if width > 0:
                drawn.append(_rect(x, y, width, BAR, look))
            x += width
        if not is_share:
            drawn.append(_figure(x + 5, y + 12, total, f" {unit}"))
    below, height = legend(looks.items(), TOP + len(rungs) * ROW + 2)
    return _drawing([*drawn, *below], height, f"By rung, {unit}")


def _place(name: str) -> tuple[int, str]:
    order = ("service", "near", "balancer", "collapsed", "redis")
    return (order.index(name) if name in order else len(order)), name


def curves(rungs: Rungs, bar_ms: float) -> str:
    """Draw p99 over the rate offered, both by their logarithms; a ring is a rate not held."""
    rates = sorted({step["rate_s"] for rung in rungs for step in rung["steps"]}) or [1]
    width = WIDTH - LEFT - 14
    per = width / (log10(rates[-1] / rates[0]) or 1)

    def x_of(rate_s: float) -> float:
        return LEFT + per * log10(rate_s / rates[0])

    def y_of(ms: float) -> float:
        inside = min(max(ms, LEAST_MS), MOST_MS)
        return TOP + PLOT * log10(MOST_MS / inside) / log10(MOST_MS / LEAST_MS)

    drawn = []
    for ms, words in ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1000, "1 s")):
        drawn.append(f'<path d="M{LEFT} {y_of(ms):.1f}H{WIDTH - 8}" class="grid"/>')
        drawn.append(text(LEFT - 5, y_of(ms) + 4, words, "end soft"))
    y = TOP + PLOT + 16.0
    drawn += [text(x_of(each), y, f"{each / 1000:g}k", "mid soft") for each in rates]
    drawn.append(f'<path d="M{LEFT} {y_of(bar_ms):.1f}H{WIDTH - 8}" class="bar"/>')
    drawn.append(text(LEFT + 4, y_of(bar_ms) - 4, f"{bar_ms:g} ms: held below", "soft"))
    for rung in rungs:
        look = LOOKS[rung["name"]]
        points = [
            (x_of(step["rate_s"]), y_of(step["latency_ms"]["99"]), step["holds"])
            for step in rung["steps"]
            if "99" in step["latency_ms"]
        ]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
        drawn.append(f'<polyline points="{joined}" class="curve {look}"/>')
        for x, y, holds in points:
            place = f'cx="{x:.1f}" cy="{y:.1f}" r="3"'
            drawn.append(f'<circle {place} class="{look}{"" if holds else " ring"}"/>')
    named = ((rung["name"], LOOKS[rung["name"]]) for rung in rungs)
    below, height = legend(named, TOP + PLOT + 24)
    return _drawing([*drawn, *below], height, "p99 over the rate offered")


def legend(names: Iterable[tuple[str, str]], y: float) -> tuple[list[str], float]:
    """Return names with the class of their colour, in lines below ``y``, and where they end."""
    drawn, x = [], 8.0
    for name, look in names:
        width = 36 + 7.4 * len(name)
        if x + width > WIDTH:
            x, y = 8.0, y + 17
        if "dashed" in look:
            drawn.append(f'<path d="M{x:.1f} {y + 8.5:.1f}h16" class="curve {look}"/>')
        else:
            drawn.append(_rect(x, y + 4, 16, 9, look))
        drawn.append(text(x + 20, y + 13, name, "soft"))
        x += width
    return drawn, y + 22


def text(x: float, y: float, words: str, look: str = "") -> str:
    """Return a text of the class ``look``."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}">{escape(words)}</text>'


def _figure(x: float, y: float, value: float, unit: str) -> str:
    """Return a figure; the element has the exact value, too."""
    return f'<text x="{x:.1f}" y="{y:.1f}" data-value="{value!r}">{value:,.0f}{unit}</text>'


def _drawing(parts: Iterable[str], height: float, title: str, *, alone: bool = False) -> str:
    """Return the whole drawing; ``alone`` makes a file with its own style and ground."""
    style = ground = size = ""
    if alone:
        style = f"<style>{STYLE}</style>"
        ground = f'<rect width="{WIDTH}" height="{height:g}" style="fill:var(--paper)"/>'
        size = f'width="{2 * WIDTH}" height="{2 * height:g}" '
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}viewBox="0 0 {WIDTH} {height:g}" '
        f'role="img" aria-label="{escape(title)}">{style}{ground}{"".join(parts)}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, look: str) -> str:
    size = f'width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{look}"/>'
