"""The bars of the report as SVG, which needs no script.

Colours are classes, so that one style sheet serves light and dark, in the page and in a file alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Rungs = Sequence[Mapping[str, Any]]

WIDTH = 360  # about a phone's; a wider screen has several charts beside each other
NAMES, VALUES = 88, 62  # left of the bars, and right of the longest bar
ROW, BAR, TOP = 24, 15, 8
LAYERS = {"near": "f0", "collapsed": "f4", "redis": "f2", "store": "f1"}
ROLES = {"service": "f0", "koa": "f6", "balancer": "f3", "redis": "f2", "cassandra": "f1"}
OTHER = "f7"  # the colour of a part without a colour of its own

STYLE = """
:root{--paper:#fff;--card:#f6f7f9;--ink:#1b1f24;--soft:#5c6570;--line:#d5d9df;--peer:#8b95a1;
--s0:#2563c9;--s1:#c2410c;--s2:#b8326f;--s3:#0f7a6c;--s4:#6d3fc4;--s5:#8a6a00;--s6:#5c6570;--s7:#2f7d1f}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--card:#1d2127;--ink:#e8ebef;
--soft:#a2abb6;--line:#363c45;--peer:#7d8794;--s0:#6ea3f5;--s1:#f59a5f;--s2:#ef7fae;--s3:#45c4b0;
--s4:#ab8bf5;--s5:#d9b440;--s6:#a2abb6;--s7:#7fcf6a}}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}
svg .end{text-anchor:end}.peer{fill:var(--peer)}.f0{fill:var(--s0)}.f1{fill:var(--s1)}
.f2{fill:var(--s2)}.f3{fill:var(--s3)}.f4{fill:var(--s4)}.f5{fill:var(--s5)}.f6{fill:var(--s6)}.f7{fill:var(--s7)}
"""


def ladder(rungs: Rungs, *, alone: bool = False) -> str:
    """Draw the right answers a second of each rung; ``alone`` makes a file of its own."""
    unit = "requests/s at the limit"
    of = [{"peers" if rung["is_peer"] else unit: rung["limit"]["goodput_s"]} for rung in rungs]
    return stacks(rungs, of, {unit: "f0", "peers": "peer"}, unit, shown="", alone=alone)


def stacks(
    rungs: Rungs,
    of: Sequence[Mapping[str, float]],
    colours: Mapping[str, str],
    unit: str,
    *,
    shown: str | None = None,
    alone: bool = False,
) -> str:
    """Draw a bar a rung, made of the parts that ``of`` has for the rung, with a legend.

    With the unit ``%`` every bar has the whole width. Figures have the unit, or the text ``shown``.
    """
    totals = [sum(parts.values()) for parts in of]
    most, is_share = max(totals, default=1) or 1, unit == "%"
    room = WIDTH - NAMES - (8 if is_share else VALUES)
    seen = {name for parts in of for name in parts}
    names = [*(name for name in colours if name in seen), *sorted(seen - set(colours))]
    looks = [(name, colours.get(name, OTHER)) for name in names]
    drawn = []
    for at, (rung, parts, total) in enumerate(zip(rungs, of, totals, strict=True)):
        x, y = float(NAMES), TOP + at * ROW
        drawn.append(text(NAMES - 6, y + 12, rung["name"], "end"))
        for name, look in looks:
            width = room * parts.get(name, 0.0) / (total if is_share else most)
            if width > 0:
                drawn.append(_rect(x, y, width, BAR, look))
            x += width
        if not is_share:  # the element has the exact value, too
            figure = f"{total:,.0f} {unit if shown is None else shown}".strip()
            place = f'x="{x + 5:.1f}" y="{y + 12}"'
            drawn.append(f'<text {place} data-value="{total!r}">{figure}</text>')
    below, height = legend(looks, TOP + len(rungs) * ROW + 2)
    return _drawing([*drawn, *below], height, f"By rung, {unit}", alone=alone)


def legend(names: Iterable[tuple[str, str]], y: float) -> tuple[list[str], float]:
    """Return names with the class of their colour, in lines below ``y``, and where they end."""
    drawn, x = [], 8.0
    for name, look in names:
        width = 26 + 7.2 * len(name)
        if x + width > WIDTH:
            x, y = 8.0, y + 17
        drawn += [_rect(x, y + 4, 11, 9, look), text(x + 15, y + 13, name, "soft")]
        x += width
    return drawn, y + 22


def text(x: float, y: float, words: str, look: str = "") -> str:
    """Return a text of the class ``look``."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}">{escape(words)}</text>'


def _drawing(parts: Iterable[str], height: float, title: str, *, alone: bool = False) -> str:
    style = ground = size = ""
    if alone:
        style = f"<style>{STYLE}</style>"
        ground = f'<rect width="{WIDTH}" height="{height:g}" fill="var(--paper)"/>'
        size = f'width="{2 * WIDTH}" height="{2 * height:g}" '
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}viewBox="0 0 {WIDTH} {height:g}" '
        f'role="img" aria-label="{escape(title)}">{style}{ground}{"".join(parts)}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, look: str) -> str:
    size = f'width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} class="{look}"/>'
