"""The few shapes of SVG that the charts are made of. Colours are classes, so that one style sheet
serves light and dark, in the page and in a file alone."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

WIDTH = 360
"""Of every chart: about a phone's. A wider screen has several beside each other."""

SERIES = 8
LIGHT = {
    "paper": "#ffffff",
    "card": "#f6f7f9",
    "ink": "#1b1f24",
    "soft": "#5c6570",
    "line": "#d5d9df",
    "peer": "#8b95a1",
    "s0": "#2563c9",
    "s1": "#c2410c",
    "s2": "#b8326f",
    "s3": "#0f7a6c",
    "s4": "#6d3fc4",
    "s5": "#8a6a00",
    "s6": "#5c6570",
    "s7": "#2f7d1f",
}
DARK = {
    "paper": "#14171b",
    "card": "#1d2127",
    "ink": "#e8ebef",
    "soft": "#a2abb6",
    "line": "#363c45",
    "peer": "#7d8794",
    "s0": "#6ea3f5",
    "s1": "#f59a5f",
    "s2": "#ef7fae",
    "s3": "#45c4b0",
    "s4": "#ab8bf5",
    "s5": "#d9b440",
    "s6": "#a2abb6",
    "s7": "#7fcf6a",
}


def variables(selector: str) -> str:
    """The colours, light and dark, as custom properties."""

    def block(colours: dict[str, str]) -> str:
        inside = ";".join(f"--{name}:{value}" for name, value in colours.items())
        return f"{selector}{{{inside}}}"

    return f"{block(LIGHT)}@media (prefers-color-scheme:dark){{{block(DARK)}}}"


def classes() -> str:
    """What the charts' classes look like."""
    series = "".join(
        f".f{at}{{fill:var(--s{at})}}.l{at}{{stroke:var(--s{at})}}" for at in range(SERIES)
    )
    return (
        "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}"
        "svg .soft{fill:var(--soft);font-size:12px}"
        "svg .end{text-anchor:end}svg .mid{text-anchor:middle}"
        ".peer{fill:var(--peer)}.grid{stroke:var(--line);stroke-width:1}"
        ".curve{fill:none;stroke-width:1.8;stroke-linejoin:round}.dash{stroke-dasharray:5 3}"
        + series
    )


def drawing(parts: Iterable[str], height: float, title: str, *, alone: bool = False) -> str:
    """A whole picture; ``alone`` brings its own style and ground, for a file."""
    style = f"<style>{variables('svg')}{classes()}</style>" if alone else ""
    ground = f'<rect width="{WIDTH}" height="{height:g}" fill="var(--paper)"/>' if alone else ""
    size = f'width="{2 * WIDTH}" height="{2 * height:g}" ' if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}viewBox="0 0 {WIDTH} {height:g}" '
        f'role="img" aria-label="{escape(title)}">{style}{ground}{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, look: str = "") -> str:
    named = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}>{escape(words)}</text>'


def figure(x: float, y: float, value: float, shown: str, look: str = "") -> str:
    """A text that shows ``value``, which the element has as it is."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{look}" data-value="{value!r}">{shown}</text>'


def rect(x: float, y: float, width: float, height: float, look: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" '
        f'class="{look}"/>'
    )


def rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="grid"/>'


def curve(points: Iterable[tuple[float, float]], look: str) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" class="curve {look}"/>'
