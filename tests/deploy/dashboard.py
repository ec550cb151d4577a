"""The dashboard, drawn from what Prometheus has of the drills: each panel of the JSON file that
Grafana is given, by its expressions, legends and units. It stands in where there is no Grafana."""

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.lab.targets import ROOT
from bench.report.charts import WIDTH, legend, style, text
from tests.deploy.site import Site

DASHBOARD = ROOT / "deploy" / "grafana" / "content.json"
LEFT, RIGHT, TOP, PLOT = 54, 8, 30, 120
HEIGHT, GAP = 240, 12
POINTS = 150
LEGENDS = 5
COLOURS = ("near", "redis", "store", "collapsed", "stale", "service", "balancer", "peer")
UNITS: Mapping[str, Callable[[float], str]] = {
    "s": lambda value: f"{value:,.3g} s" if value >= 0.5 else f"{value * 1000:,.3g} ms",
    "percentunit": lambda value: f"{value:.3g}" if value < 0.01 else f"{value:.0%}",
    "bytes": lambda value: f"{value / 2**20:,.{0 if value > 2**23 else 1}f} MiB",
    "reqps": lambda value: f"{value:,.3g} /s" if value < 1000 else f"{value / 1000:,.3g}k/s",
}


class Series(NamedTuple):
    """A curve; points are (seconds from the begin, value)."""

    name: str
    points: list[tuple[float, float]]


def panels() -> list[dict[str, Any]]:
    """Those that are curves."""
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [panel for panel in found if panel["type"] == "timeseries"]


def draw(site: Site, began_s: float, ended_s: float) -> str:
    """All panels as one SVG."""
    cells = []
    for at, panel in enumerate(panels()):
        series = [
            each for target in panel["targets"] for each in ask(site, target, began_s, ended_s)
        ]
        x, y = (at % 2) * (WIDTH + GAP), (at // 2) * (HEIGHT + GAP)
        inside = "".join(_panel(panel, series, ended_s - began_s))
        cells.append(f'<g transform="translate({x},{y})">{inside}</g>')
    width, height = 2 * WIDTH + GAP, (len(cells) + 1) // 2 * (HEIGHT + GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="The dashboard"><style>{style()}</style>'
        f'<rect width="{width}" height="{height}" style="fill:var(--paper)"/>'
        f"{''.join(cells)}</svg>\n"
    )


def step_s(seconds: float) -> int:
    """From one point to the next."""
    return max(1, round(seconds / POINTS))


def ask(site: Site, target: Mapping[str, str], began_s: float, ended_s: float) -> list[Series]:
    """The series of an expression over the time of the drills, named as its legend says."""
    step = step_s(ended_s - began_s)
    seen = site.query_range(target["expr"], began_s, ended_s, step)
    return [
        Series(
            _legend(target, each["metric"]),
            [
                (float(at) - began_s, float(value))
                for at, value in each["values"]
                if value not in ("NaN", "+Inf")  # no request in the window
            ],
        )
        for each in seen
    ]


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):,g}"


def _legend(target: Mapping[str, str], labels: Mapping[str, str]) -> str:
    template = target.get("legendFormat", "")
    return re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), template)


def _panel(panel: Mapping[str, Any], series: Sequence[Series], seconds: float) -> list[str]:
    unit = UNITS.get(panel["fieldConfig"]["defaults"].get("unit", ""), _short)
    others = itertools.cycle(COLOURS)
    most = max((value for each in series for _, value in each.points), default=0.0) or 1.0
    parts = [text(0, 16, panel["title"])]
    for share in (0.0, 0.5, 1.0):
        y = TOP + PLOT * (1 - share)
        parts += [f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" class="grid"/>']
        parts += [text(LEFT - 4, y + 4, unit(most * share), "end soft")]
    for part in range(5):
        x = LEFT + (WIDTH - LEFT - RIGHT) * part / 4
        look = "end soft" if part == 4 else "mid soft"
        parts += [text(x, TOP + PLOT + 14, f"{seconds / 60 * part / 4:.1f} min", look)]
    names = [each.name for each in series]
    # a layer has its own colour, and any other series the next one
    looks = [name if name in COLOURS else next(others) for name in names]
    for each, look in zip(series, looks, strict=True):
        drawn, until_s = "", -1.0
        for at_s, value in each.points:
            x, y = LEFT + (WIDTH - LEFT - RIGHT) * at_s / seconds, TOP + PLOT * (1 - value / most)
            drawn += f"{'M' if at_s > until_s else 'L'}{x:.1f} {y:.1f}"
            until_s = at_s + 2 * step_s(seconds)  # beyond it there was nothing for a while
        parts.append(f'<path d="{drawn}" class="curve {look}"/>')
    shown = list(zip(names, looks, strict=True))[:LEGENDS]
    if len(series) > LEGENDS:
        shown.append((f"and {len(series) - LEGENDS} more", "peer"))
    return [*parts, *legend(shown, TOP + PLOT + 18)[0]]
