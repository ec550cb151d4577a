"""The report: one HTML file without a script, for a wide screen and a phone, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from bench.report.charts import LAYERS, ROLES, bars, ladder, over_time, percentiles, stacks
from bench.report.svg import classes, variables

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
td.note{white-space:normal;min-width:12rem;text-align:left}
"""


def number(value: float, shape: str = ",.0f") -> str:
    """A figure as it is shown, with what it is."""
    return f'<data value="{value!r}">{value:{shape}}</data>'


def page(result: dict[str, Any]) -> str:
    rungs = result["rungs"]
    seen, most = [rung["open"] for rung in rungs], [rung["limit"] for rung in rungs]
    cards = [
        (
            "The ladder",
            ladder(rungs),
            "The visitors' reads by 64 connections, as fast as answered.",
        ),
        (
            "CPU by process, µs a request",
            stacks(rungs, [each["cpu_us"] for each in most], ROLES, "µs"),
            "At the limit: each process's own time over the requests answered.",
        ),
        (
            "Which layer had the row",
            stacks(rungs, [each["layers"] for each in seen], LAYERS, "%"),
            "By Cache-Status, at the same rate on every rung; collapsed: joined another's load.",
        ),
        (
            "Latency by percentile, ms",
            percentiles(rungs),
            "From the moment a request was due; both axes logarithmic.",
        ),
        (
            "Cost of a million requests, US$",
            bars(rungs, [rung["usd_per_million"] for rung in rungs], ".4f", "US$ per million"),
            "Cores alone, at an assumed price; see below.",
        ),
        ("p99 over time, ms", over_time(rungs), "Of each second, at the same rate on every rung."),
    ]
    figures = "".join(
        f"<figure><h2>{title}</h2>{drawn}<figcaption>{words}</figcaption></figure>"
        for title, drawn, words in cards
    )
    sections = [_rungs(rungs, seen), _money(result), _peak(rungs), _about(result)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>What every layer buys</title>'
        f"<style>{variables(':root')}{STYLE}{classes()}</style></head><body><main>"
        f"<h1>What every layer buys</h1>{_lead(result)}"
        f'<div class="cards">{figures}</div>{"".join(sections)}</main></body></html>\n'
    )


def _lead(result: dict[str, Any]) -> str:
    machine = result["machine"]
    rate_s, seconds = result["plan"]["rate_s"], result["plan"]["open_s"]
    return (
        f"<p>A {result['kind']} run of {escape(result['made'])} on {number(machine['cores'], 'd')} "
        f"cores ({escape(machine['processor'])}), the load generator included. Every rung got "
        f"the same visitors: {number(rate_s)} requests/s on schedule for {number(seconds, 'g')} s, "
        "then as much as it takes.</p>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return (
        f'<div class="wide"><table><thead>{line(head, "th")}</thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _rungs(rungs: Sequence[dict[str, Any]], seen: Sequence[dict[str, Any]]) -> str:
    head = ["rung", "goodput /s", "p50 ms", "p99 ms", "p99.9 ms", "worst ms", "failed", "wrong"]
    head += ["left late", "CPU µs", "limit /s", "limit by", "failed", "others"]
    rows = []
    for rung, each in zip(rungs, seen, strict=True):
        most, latency = rung["limit"], each["latency_ms"]
        percents = [number(latency[at], ",.1f") for at in ("50", "99", "99.9", "100")]
        counts = [number(each[name], ",d") for name in ("failed", "wrong", "late")]
        rows.append(
            [
                escape(rung["name"]),
                *(number(each["goodput_s"]), *percents, *counts),
                *(number(most["cpu_us_total"]), number(most["requests_s"]), escape(most["by"])),
                number(most["failed"], ",d"),
                number(max(each["others_cores"], most["others_cores"]), ".2f"),
            ]
        )
    notes = "".join(
        f"<li><b>{escape(rung['name'])}</b>: {escape(rung['note'])}</li>" for rung in rungs
    )
    deadline = number(seen[0]["deadline_ms"], "g") if seen else ""
    return (
        f"<section><h2>Rung by rung</h2>{_table(head, rows)}<p class=soft>Goodput: right answers "
        f"within {deadline} ms. Latencies, failures and what the generator sent more than 10 ms "
        "late are of the run on schedule; CPU of all processes is at the limit. Others: cores that "
        "other work on the machine kept busy meanwhile, at worst. Every answer on "
        "schedule was checked, status and body; at the limit statuses are.</p>"
        f"<ul class=soft>{notes}</ul></section>"
    )


def _money(result: dict[str, Any]) -> str:
    assumed = result["assumed"]
    rows = [
        [
            escape(rung["name"]),
            number(rung["limit"]["cpu_us_total"]),
            number(rung["usd_per_million"], ",.4f"),
        ]
        for rung in result["rungs"]
    ]
    return (
        "<section><h2>Cost per million requests</h2>"
        + _table(["rung", "CPU µs/request", "US$ per million"], rows)
        + f"<p class=soft>Assumed, not measured: a core costs US$ "
        f"{number(assumed['usd_per_core_hour'], 'g')} an hour and is kept "
        f"{number(assumed['busy_share'], '.0%')} busy. Cores alone: no memory, disk or traffic.</p>"
        "</section>"
    )


def _peak(rungs: Sequence[dict[str, Any]]) -> str:
    parts = []
    for name, peak in ((rung["name"], peak) for rung in rungs for peak in rung.get("peaks", ())):
        head = ["offered /s", "goodput /s", "p50 ms", "p99 ms", "failed", "left late", "servers"]
        head += ["generators", "others", ""]
        rows = [
            [number(each["rate_s"]), number(each["goodput_s"])]
            + [number(each["latency_ms"][at], ",.1f") for at in ("50", "99")]
            + [number(each["failed"], ",d"), number(each["late"], ",d")]
            + [number(each[name], ".2f") for name in ("cores", "generator_cores", "others_cores")]
            + [each["verdict"]]
            for each in peak["tried"]
        ]
        parts.append(
            f"<section><h2>On schedule, how much? ({escape(name)}, "
            f"{number(peak['write_share'], '.1%')} writes)</h2>{_table(head, rows)}"
            f"<p class=soft>It holds while p99 is within {number(peak['bar_ms'], 'g')} ms, "
            "nothing fails and no generator is late. Servers and generators: cores that they kept "
            "busy, of those of this machine.</p></section>"
        )
    return "".join(parts)


def _about(result: dict[str, Any]) -> str:
    left = "".join(
        f"<li>left out: {escape(name)}: {escape(why)}</li>"
        for name, why in result["left_out"].items()
    )
    left += "".join(
        f"<li>measured again on {day}: {escape(name)}</li>"
        for name, day in result.get("again", {}).items()
    )
    lists = [
        ", ".join(f"{escape(name)} {escape(str(value))}" for name, value in part.items())
        for part in (result["machine"], result["versions"], result["behaviour"])
    ]
    names = ("Machine", "Versions", "Visitors (bench/load/activity.py)")
    told = "".join(
        f"<p class=soft><b>{name}</b>: {words}</p>"
        for name, words in zip(names, lists, strict=True)
    )
    return f"<section><h2>On what</h2>{told}<ul class=soft>{left}</ul></section>"
