"""The drawings of the report as SVG. Colours are classes of style.css."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from math import log10
from pathlib import Path
from typing import Any

Rungs = Sequence[Mapping[str, Any]]

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
"""The classes of each rung; a peer is dashed, in the colour of the rung whose work it does."""

WIDTH = 360  # about a phone's; a wider screen has several charts beside each other
NAMES, VALUES = 96, 100  # left of the bars, and right of the longest bar
ROW, BAR, TOP = 24, 15, 8
LEFT, PLOT = 58, 200  # of curves
LEAST_MS, MOST_MS = 0.5, 1_000.0
TICKS = ((1, "1 ms"), (10, "10 ms"), (100, "100 ms"), (1_000, "1 s"))


@cache
def style() -> str:
    """Return the style sheet of every drawing."""
    return (Path(__file__).parent / "style.css").read_text()


def bar_look(rung: Mapping[str, Any]) -> str:
    """Return the class of a rung's bar; a peer is grey."""
    return "peer" if rung["figure"] == "peers" else LOOKS[rung["name"]]


def ladder(rungs: Rungs) -> str:
    """Draw the answers a second of each rung at the limit, with their spread, as a file alone."""
    per = (WIDTH - NAMES - VALUES) / max([rung["limit"]["most_s"] for rung in rungs] or [1])
    drawn = []
    for at, rung in enumerate(rungs):
        seen, y = rung["limit"], TOP + at * ROW
        size = f'width="{per * seen["goodput_s"]:.1f}" height="{BAR}"'
        ends = NAMES + per * seen["least_s"], NAMES + per * seen["most_s"]
        drawn += [
            text(NAMES - 6, y + 12, rung["name"], "end"),
            f'<rect x="{NAMES}" y="{y}" {size} class="{bar_look(rung)}"/>',
            f'<path d="M{ends[0]:.1f} {y + 7.5}H{ends[1]:.1f}" class="spread"/>',
            text(ends[1] + 5, y + 12, f"{seen['goodput_s']:,.0f}/s"),
        ]
        if rung["factor"] and rung["figure"] == "ladder":
            drawn.append(text(WIDTH - 4, y + 12, f"\u00d7 {rung['factor']:.1f}", "end soft"))
    height = TOP + len(rungs) * ROW
    style_and_ground = [
        f"<style>{style()}</style>",
        f'<rect width="{WIDTH}" height="{height}" style="fill:var(--paper)"/>',
    ]
    title = "Requests a second at the limit, and the factor to the rung before"
    return _drawing([*style_and_ground, *drawn], height, title)


def curves(rungs: Rungs, bar_ms: float) -> str:
    """Draw p99 over the rate offered, both by their logarithms; a ring is a rate not held."""
    rates = sorted({step["rate_s"] for rung in rungs for step in rung["steps"]}) or [1]
    per = (WIDTH - LEFT - 14) / (log10(rates[-1] / rates[0]) or 1)

    def x_of(rate_s: float) -> float:
        return LEFT + per * log10(rate_s / rates[0])

    def y_of(ms: float) -> float:
        inside = min(max(ms, LEAST_MS), MOST_MS)
        return TOP + PLOT * log10(MOST_MS / inside) / log10(MOST_MS / LEAST_MS)

    drawn = [text(x_of(each), TOP + PLOT + 16, f"{each / 1000:g}k", "mid soft") for each in rates]
    for ms, words in TICKS:
        drawn.append(f'<path d="M{LEFT} {y_of(ms):.1f}H{WIDTH - 8}" class="grid"/>')
        drawn.append(text(LEFT - 5, y_of(ms) + 4, words, "end soft"))
    drawn.append(f'<path d="M{LEFT} {y_of(bar_ms):.1f}H{WIDTH - 8}" class="bar"/>')
    drawn.append(text(LEFT + 4, y_of(bar_ms) - 4, f"{bar_ms:g} ms: held below", "soft"))
    for rung in rungs:
        look, points = LOOKS[rung["name"]], []
        for step in rung["steps"]:
            if "99" in step["latency_ms"]:
                x, y = x_of(step["rate_s"]), y_of(step["latency_ms"]["99"])
                points.append(f"{x:.1f},{y:.1f}")
                ring = "" if step["holds"] else " ring"
                drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="{look}{ring}"/>')
        drawn.append(f'<polyline points="{" ".join(points)}" class="curve {look}"/>')
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
        drawn.append(f'<path d="M{x:.1f} {y + 8.5:.1f}h16" class="curve {look}"/>')
        drawn.append(text(x + 20, y + 13, name, "soft"))
        x += width
    return drawn, y + 22


def text(x: float, y: float, words: str, look: str = "") -> str:
    """Return a text of the class ``look``."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}">{escape(words)}</text>'


def _drawing(parts: Iterable[str], height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" height="{2 * height:g}" '
        f'viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
