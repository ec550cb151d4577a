"""The report: one HTML file without a script, for a wide screen and a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from bench.report import charts

STYLE = """
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}main{max-width:1240px;margin:auto;padding:16px}
h1{font-size:1.5rem;margin:.5rem 0}h2{font-size:1.05rem;margin:0 0 .4rem}p{margin:.4rem 0}
.soft,figcaption{color:var(--soft);font-size:.85rem}
.cards{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr))}
section,figure{background:var(--card);border-radius:8px;padding:12px;margin:0;min-width:0}
section{margin-top:16px}svg{display:block;width:100%;max-width:520px;height:auto;margin:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;width:100%}
th,td{padding:4px 8px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600;vertical-align:bottom}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:var(--card)}
"""
RUNGS = "rung,goodput /s,p50 ms,p99 ms,p99.9 ms,worst ms,failed,wrong,left late,CPU µs,limit /s"
PEAKS = "offered /s,goodput /s,p50 ms,p99 ms,failed,left late,servers,generators,others,"


def page(result: dict[str, Any]) -> str:
    """Return the whole page of a run."""
    rungs = result["rungs"]
    cards = (
        ("The ladder", charts.ladder(rungs), "The visitors' reads, as fast as answered."),
        (
            "CPU by process, µs a request",
            charts.stacks(rungs, [each["limit"]["cpu_us"] for each in rungs], charts.ROLES, "µs"),
            "At the limit: each process's own time over the requests answered.",
        ),
        (
            "Which layer had the row",
            charts.stacks(rungs, [each["open"]["layers"] for each in rungs], charts.LAYERS, "%"),
            "By Cache-Status, at the same rate on every rung; collapsed: joined another's load.",
        ),
    )
    figures = "".join(
        f"<figure><h2>{title}</h2>{drawn}<figcaption>{words}</figcaption></figure>"
        for title, drawn, words in cards
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>What every layer buys</title>'
        f"<style>{charts.STYLE}{STYLE}</style></head><body><main>"
        f"<h1>What every layer buys</h1>{_lead(result)}"
        f'<div class="cards">{figures}</div>{_rungs(rungs)}{_peaks(rungs)}{_about(result)}'
        "</main></body></html>\n"
    )


def number(value: float, shape: str = ",.0f") -> str:
    """Return a figure as it is shown, with its exact value as the element's."""
    return f'<data value="{value!r}">{value:{shape}}</data>'


def _lead(result: dict[str, Any]) -> str:
    machine, plan = result["machine"], result["plan"]
    return (
        f"<p>A {result['kind']} run of {escape(result['made'])} on {number(machine['cores'], 'd')} "
        f"cores ({escape(machine['processor'])}), the load generator included. Every rung got "
        f"the same visitors: {number(plan['rate_s'])} requests/s on schedule for "
        f"{number(plan['open_s'], 'g')} s, then as much as it takes.</p>"
    )


def _table(head: str, rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table><thead>{line(head.split(","), "th")}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _numbers(of: dict[str, Any], names: Sequence[str], shape: str) -> list[str]:
    return [number(of[name], shape) for name in names]


def _rungs(rungs: Sequence[dict[str, Any]]) -> str:
    rows = []
    for seen, most, name in ((each["open"], each["limit"], each["name"]) for each in rungs):
        others = max(seen["others_cores"], most["others_cores"])
        rows.append(
            [
                escape(name),
                number(seen["goodput_s"]),
                *_numbers(seen["latency_ms"], ("50", "99", "99.9", "100"), ",.1f"),
                *_numbers(seen, ("failed", "wrong", "late"), ",d"),
                *_numbers(most, ("cpu_us_total", "requests_s"), ",.0f"),
                *(escape(most["by"]), number(most["failed"], ",d"), number(others, ".2f")),
            ]
        )
    notes = [f"<li><b>{escape(each['name'])}</b>: {escape(each['note'])}</li>" for each in rungs]
    deadline = number(rungs[0]["open"]["deadline_ms"], "g") if rungs else ""
    return (
        f"<section><h2>Rung by rung</h2>{_table(f'{RUNGS},limit by,failed,others', rows)}"
        f"<p class=soft>Goodput: right answers within {deadline} ms. Latencies, failures and what "
        "the generator sent more than 10 ms late are of the run on schedule; CPU of all processes "
        "is at the limit. Others: cores that other work on the machine kept busy meanwhile, at "
        "worst. Every answer on schedule was checked, status and body; at the limit statuses are."
        f"</p><ul class=soft>{''.join(notes)}</ul></section>"
    )


def _peaks(rungs: Sequence[dict[str, Any]]) -> str:
    parts = []
    for name, peak in ((rung["name"], peak) for rung in rungs for peak in rung.get("peaks", ())):
        rows = [
            [
                *_numbers(each, ("rate_s", "goodput_s"), ",.0f"),
                *_numbers(each["latency_ms"], ("50", "99"), ",.1f"),
                *_numbers(each, ("failed", "late"), ",d"),
                *_numbers(each, ("cores", "generator_cores", "others_cores"), ".2f"),
                each["verdict"],
            ]
            for each in peak["tried"]
        ]
        parts.append(
            f"<section><h2>On schedule, how much? ({escape(name)}, "
            f"{number(peak['write_share'], '.1%')} writes)</h2>{_table(PEAKS, rows)}"
            f"<p class=soft>It holds while p99 is within {number(peak['bar_ms'], 'g')} ms, "
            "nothing fails and no generator is late. Servers and generators: cores that they kept "
            "busy, of those of this machine.</p></section>"
        )
    return "".join(parts)


def _about(result: dict[str, Any]) -> str:
    again = result.get("again", {}).items()
    notes = [f"left out: {name}: {why}" for name, why in result["left_out"].items()]
    notes += [f"measured again on {day}: {name}" for name, day in again]
    told = "".join(
        f"<p class=soft><b>{name.capitalize()}</b>: "
        + ", ".join(f"{escape(each)} {escape(str(value))}" for each, value in result[name].items())
        + "</p>"
        for name in ("machine", "versions", "behaviour")
    )
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h2>On what</h2>{told}<ul class=soft>{listed}</ul></section>"
