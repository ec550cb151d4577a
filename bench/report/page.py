"""The report: one HTML file without a script, for a wide screen and a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bench.report import charts
from bench.report.tables import VERDICTS, bound_of, shape_of

Rung = Mapping[str, Any]

STYLE = """
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}main{max-width:1180px;margin:auto;padding:16px}
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.1rem;margin:0 0 .4rem}p{margin:.4rem 0}
.soft,figcaption{color:var(--soft);font-size:.85rem}
.cards{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr))}
section,figure{background:var(--card);border-radius:8px;padding:14px;margin:0;min-width:0}
section,.cards{margin-top:16px}svg{display:block;width:100%;max-width:440px;height:auto;margin:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;width:100%}
th,td{padding:4px 8px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card)}
.rungs{list-style:none;margin:0;padding:0}
.rungs li{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,6fr) 7rem;gap:2px 16px;
align-items:center;padding:8px 0;border-bottom:1px solid var(--line)}
.rungs li:last-child{border:0}.rungs p{margin:0;color:var(--soft);font-size:.85rem;line-height:1.35}
.track{position:relative;height:18px}.track i{display:block;height:100%;min-width:2px;
background:currentColor;border-radius:2px}
.track b{position:absolute;top:8px;height:2px;min-width:1px;
background:var(--ink);box-shadow:0 0 0 1px var(--card)}
.gain{text-align:right;font-variant-numeric:tabular-nums;line-height:1.3}
.gain small{display:block;color:var(--soft)}
.pass{color:var(--near)}.FAIL{color:var(--redis)}.pass,.FAIL{font-weight:700}
summary{cursor:pointer;padding:4px 0;font-weight:600}
@media(max-width:640px){.rungs li{grid-template-columns:1fr 7rem}
.rungs li .said{grid-column:1/-1}.bars td:first-child{white-space:normal}}
"""
LADDER = (
    "As many as are answered, asked by 64 connections at a time. The thin line in a bar is the "
    "spread of the runs; &times; is the factor to the rung above."
)
PEERS = "Each stands below the rung that does the same work; &times; is the factor to that rung."
REPLICAS = (
    "All replicas, the balancer, both stores and the load share the cores of one machine. So this "
    "shows the cost of a balancer and of further processes, and not the gain of further machines."
)
FIGURES = {
    "ladder": ("Reads a second, layer by layer", LADDER),
    "peers": ("Beside other servers, on the same machine", PEERS),
    "replicas": ("What a replica costs on the same cores", REPLICAS),
}
CORES = ("cores", "generator_cores", "others_cores")
STEPS = "rung,offered /s,p50 ms,p99 ms,good /s,failed,wrong,left late,servers,generators,others,"


def page(result: Mapping[str, Any]) -> str:
    """Return the whole page of a run."""
    ladder, peers, replicas = (_of(result, each) for each in ("ladder", "peers", "replicas"))
    names = {rung["name"]: rung for rung in ladder}
    pairs = [each for peer in peers for each in (names.get(peer["against"]), peer) if each]
    several = [*ladder[-1:], *replicas]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>What each layer buys</title>'
        f"<style>{charts.STYLE}{STYLE}</style></head><body><main>"
        f"<h1>What each layer buys</h1>{_lead(result)}"
        f"{_rungs(result, 'ladder', ladder)}"
        f'<div class="cards">{_curves(result, ladder)}{_cpu(ladder)}{_layers(ladder)}</div>'
        f"{_rungs(result, 'peers', pairs)}"
        f'<div class="cards">{_curves(result, pairs)}{_cpu(pairs)}</div>'
        f"{_rungs(result, 'replicas', several)}"
        f'<div class="cards">{_curves(result, several)}{_cpu(several)}</div>'
        f"{_bars(result)}{_steps(result)}{_about(result)}</main></body></html>\n"
    )


def number(value: float, shape: str = ",.0f") -> str:
    """Return a figure as it is shown, with its exact value as the element's."""
    return f'<data value="{value!r}">{value:{shape}}</data>'


def _of(result: Mapping[str, Any], figure: str) -> list[Rung]:
    return [rung for rung in result["rungs"] if rung["figure"] == figure]


def _lead(result: Mapping[str, Any]) -> str:
    machine, plan = result["machine"], result["plan"]
    met = [bar["met"] for bar in result["bars"]]
    verdict = f"{met.count(True)} of {len(met)} bars are met" + (
        f", and <span class=FAIL>{met.count(False)} missed</span>" if False in met else ""
    )
    return (
        "<p>The service was started with one layer after the other, and the same visitors of a "
        "video site asked it each time. Each rung adds one part to the rung above it.</p>"
        f"<p class=soft>A {result['kind']} run of {escape(result['made'])}, "
        f"{result['taken_s'] / 60:.0f} minutes, on {machine['cores']} cores "
        f"({escape(machine['processor'])}) that servers and load generators share. Every figure "
        f"at the limit is the middle of {plan['runs']} runs. {verdict}.</p>"
    )


def _rungs(result: Mapping[str, Any], figure: str, rungs: Sequence[Rung]) -> str:
    """Return a row a rung: what it buys, its bar with the spread of the runs, and its factor."""
    percent = 100 / (max((rung["limit"]["most_s"] for rung in rungs), default=0) or 1)
    rows = [_row(rung, percent, above) for above, rung in zip([None, *rungs], rungs, strict=False)]
    rows += [
        f"<li><div class=said><b>{escape(left['name'])}</b><p>left out: {escape(left['why'])}</p>"
        "</div></li>"
        for left in result["left_out"]
        if left["figure"] == figure
    ]
    title, words = FIGURES[figure]
    return (
        f"<section><h2>{title}</h2><p class=soft>{words}</p>"
        f'<ul class="rungs">{"".join(rows)}</ul></section>'
    )


def _row(rung: Rung, percent: float, above: Rung | None) -> str:
    """Return one row, with the factor if its rung stands ``above``."""
    seen, factor = rung["limit"], ""
    if rung["factor"] and above and rung["against"] == above["name"]:
        factor = f"<small>\u00d7 {number(rung['factor'], '.2f')}</small>"
    spread = percent * seen["least_s"], percent * (seen["most_s"] - seen["least_s"])
    return (
        f"<li><div class=said><b>{escape(rung['name'])}</b><p>{escape(rung['buys'])}</p></div>"
        f'<div class=track><i class="{charts.bar_look(rung)}" '
        f'style="width:{percent * seen["goodput_s"]:.2f}%"></i>'
        f'<b style="left:{spread[0]:.2f}%;width:{spread[1]:.2f}%"></b></div>'
        f"<div class=gain><b>{number(seen['goodput_s'])} /s</b>{factor}</div></li>"
    )


def _figure(title: str, drawn: str, words: str) -> str:
    return f"<figure><h2>{title}</h2>{drawn}<figcaption>{words}</figcaption></figure>"


def _curves(result: Mapping[str, Any], rungs: Sequence[Rung]) -> str:
    words = (
        "p99 at each rate of requests a second, counted from the time due. A ring: not held, as "
        f"p99 was above {number(result['bar_ms'], 'g')} ms, a request failed, or the load was late."
    )
    return _figure(
        "How long the slowest in a hundred waits", charts.curves(rungs, result["bar_ms"]), words
    )


def _cpu(rungs: Sequence[Rung]) -> str:
    drawn = charts.stacks(
        rungs, [rung["limit"]["cpu_us"] for rung in rungs], charts.ROLES, "\u00b5s"
    )
    words = "At the limit: the CPU time of each process over the requests answered."
    return _figure("CPU time of a read, by process", drawn, words)


def _layers(rungs: Sequence[Rung]) -> str:
    drawn = charts.stacks(rungs, [rung["steps"][0]["layers"] for rung in rungs], {}, "%")
    words = "By Cache-Status, at the lowest rate; collapsed: the read joined another's load."
    return _figure("Which layer had the row", drawn, words)


def _table(head: str, rows: Iterable[Sequence[str]], look: str = "") -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table class="{look}"><thead>{line(head.split(","), "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _bars(result: Mapping[str, Any]) -> str:
    rows = []
    for bar in result["bars"]:
        bound, verdict = bound_of(bar), VERDICTS[bar["met"]]
        found = "not measured" if bar["found"] is None else number(bar["found"], shape_of(bar))
        marked = f"<span class={verdict}>{verdict}</span>"
        rows.append([escape(bar["bar"]), f"{bound} {number(bar[bound], ',g')}", found, marked])
    return (
        "<section><h2>The bars</h2><p class=soft>What a run has to show. The command ends with "
        "status 1 if one is missed. A : B is the figure of A over that of B, in this run.</p>"
        f"{_table('bar,has to be,found,', rows, 'bars')}</section>"
    )


def _steps(result: Mapping[str, Any]) -> str:
    rows = []
    every = ((rung, step) for rung in result["rungs"] for step in rung["steps"])
    for rung, step in every:
        latency = [step["latency_ms"].get(each) for each in ("50", "99")]
        rows.append(
            [
                escape(rung["name"]),
                number(step["rate_s"]),
                *("" if each is None else number(each, ",.1f") for each in latency),
                number(step["goodput_s"]),
                *(number(step[each], ",d") for each in ("failed", "wrong", "late")),
                *(number(step[each], ".2f") for each in CORES),
                escape(step["verdict"]),
            ]
        )
    return (
        "<section><details><summary>Every rate that was offered</summary>"
        f"{_table(STEPS, rows)}<p class=soft>Good: right answers within "
        f"{number(result['deadline_ms'], 'g')} ms. Status and body of every answer were checked. "
        "Left late: requests that the generator sent more than 10 ms after they were due. Servers, "
        "generators, others: the cores that each kept busy. A percentile is told where at least "
        "100 samples lie beyond it.</p></details></section>"
    )


def _about(result: Mapping[str, Any]) -> str:
    notes = [f"left out: {left['name']}: {left['why']}" for left in result["left_out"]]
    told = "".join(
        f"<p class=soft><b>{name.capitalize()}</b>: "
        + ", ".join(f"{escape(each)} {escape(str(value))}" for each, value in result[name].items())
        + "</p>"
        for name in ("machine", "versions", "behaviour")
    )
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h2>On what</h2>{told}<ul class=soft>{listed}</ul></section>"
