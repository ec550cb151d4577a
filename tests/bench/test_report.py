"""The report: sound HTML, by itself, and no figure that is not in the JSON."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench.lab.targets import ROOT
from bench.report import BEGIN, DOCS, END, RESULTS, rendered, renewed, write_report
from bench.report.charts import curves
from tests.api import chromium
from tests.bench.reports import leaves, read, shades


def step(rate_s: float, p99_ms: float | None = 2.5, **more: Any) -> dict[str, Any]:
    held = p99_ms is not None and p99_ms <= 20
    return {
        "rate_s": rate_s,
        "goodput_s": rate_s - 0.5,
        "failed": 0,
        "wrong": 0,
        "late": 3,
        "latency_ms": {"50": 0.4} | ({} if p99_ms is None else {"99": p99_ms}),
        "layers": {"near": 0.75, "store": 0.25},
        "cached": 0.75,
        "cores": 0.5,
        "generator_cores": 0.25,
        "others_cores": 0.125,
        "holds": held,
        "verdict": "holds" if held else "too much",
        **more,
    }


def rung(name: str, goodput_s: float, figure: str = "ladder", **more: Any) -> dict[str, Any]:
    limit = {
        "goodput_s": goodput_s,
        "others_cores": 0.125,
        "least_s": goodput_s * 0.9,
        "most_s": goodput_s * 1.05,
        "cpu_us": {"service": 40.5, "cassandra": 2.25},
        "cpu_us_total": 42.75,
    }
    return {
        "name": name,
        "buys": "a <sentence>",
        "figure": figure,
        "against": "",
        "factor": None,
        "held_s": 8_000.0,
        "steps": [step(1_000.0), step(8_000.0, 7.25), step(14_000.0, 311.0)],
        "limit": limit,
        **more,
    }


def page(result: dict[str, Any]) -> str:
    return rendered("page.html", result)


def table(result: dict[str, Any]) -> list[str]:
    return rendered("tables.md", result).split("\n\n")[0].splitlines()


@pytest.fixture
def result() -> dict[str, Any]:
    near = "+ near cache"
    return {
        "kind": "full",
        "made": "2026-01-01",
        "taken_s": 720,
        "bar_ms": 20.0,
        "deadline_ms": 200.0,
        "rungs": [
            rung(near, 14_000.0),
            rung("+ fast lane", 31_234.5, against=near, factor=2.2310357),
            rung("3 replicas", 9_000.0, "replicas"),
            rung("nginx", 61_300.0, "peers", against="+ fast lane"),
        ],
        "bars": [
            {"name": "a < b", "bound": "at least", "value": 1.5, "found": 2.25, "met": True},
            {"name": "c : d", "bound": "at most", "value": 0.6, "found": 0.75, "met": False},
            {"name": "e : f", "bound": "at most", "value": 0.6, "found": None, "met": None},
        ],
        "plan": {"runs": 3},
        "machine": {"processor": "A & B", "cores": 2},
        "versions": {"wrk": "4.1"},
        "behaviour": {"zipf": 0.9},
        "left_out": [{"name": "Koa + Redis", "figure": "peers", "why": "node is not installed"}],
    }


def test_the_page_is_sound_and_needs_nobody(result: dict[str, Any]) -> None:
    html = page(result)
    reader = read(html)
    assert reader.links == []
    assert "<script" not in html
    assert "url(" not in html
    assert "a &lt;sentence&gt;" in html
    assert "a <sentence>" not in html
    assert html.count("<svg") == 3
    assert "prefers-color-scheme: dark" in html


@pytest.mark.skipif(chromium.program() is None, reason="there is no Chromium")
def test_the_page_is_as_wide_as_the_screen(result: dict[str, Any], tmp_path: Path) -> None:
    write_report(result, tmp_path)
    with chromium.page(tmp_path) as tab:
        for width in (375, 1280):
            tab.open((tmp_path / "report.html").as_uri(), width)
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert tab.evaluate("document.querySelectorAll('.track i').length") > 4


def test_every_figure_is_in_the_json(result: dict[str, Any]) -> None:
    reader = read(page(result))
    assert len(reader.figures) > 60
    assert set(reader.figures) <= leaves(result)
    assert {31_234.5, 2.2310357, 311.0} <= set(reader.figures)
    said = " ".join(reader.loose).replace("3 replicas", "")
    assert not any(letter.isdigit() for letter in said), said  # every figure of a table is marked
    result["rungs"][1]["limit"]["goodput_s"] = 7.0
    assert not set(reader.figures) <= leaves(result) - {31_234.5}


def test_a_rung_that_is_left_out_has_a_row_that_says_why(result: dict[str, Any]) -> None:
    rows = re.findall(r"<li>.*?</li>", page(result), re.DOTALL)
    (row,) = (row for row in rows if "<b>Koa + Redis</b>" in row)
    assert "node is not installed" in row
    assert table(result)[-1] == "| Koa + Redis | left out: node is not installed |"


def test_a_bar_is_passed_missed_or_open(result: dict[str, Any]) -> None:
    html = page(result)
    assert '1 of 3 bars are met, and <span class="FAIL">1 missed</span>' in html
    assert rendered("tables.md", result).split("\n\n")[1].splitlines()[2:] == [
        "| a < b | at least 1.5 | 2.25 | pass |",
        "| c : d | at most 0.6 | 0.75 | FAIL |",
        "| e : f | at most 0.6 | not measured | open |",
    ]


def test_a_curve_has_the_rates_with_enough_samples_and_a_ring_where_it_fails() -> None:
    steps = [step(1_000.0, None), step(2_000.0), step(14_000.0, 90_000.0)]
    drawn = ET.fromstring(curves([rung("+ Redis", 1.0, steps=steps)], 20.0))
    dots = [each.attrib for each in drawn.iter() if each.tag.endswith("circle")]
    assert [dot["class"] for dot in dots] == ["redis", "redis ring"]
    assert float(dots[1]["cy"]) < float(dots[0]["cy"])
    assert float(dots[1]["cy"]) >= 0  # a p99 beyond the chart is at its edge


def test_layers_have_the_colours_of_the_demo() -> None:
    css = (ROOT / "api" / "demo" / "page.css").read_text()
    for name in ("near", "redis", "store", "collapsed", "stale"):
        assert shades(name)[::-1] == re.findall(rf"--{name}: (#\w+)", css)


def test_the_files_are_written_and_the_picture_stands_alone(
    result: dict[str, Any], tmp_path: Path
) -> None:
    write_report(result, tmp_path / "new")
    picture = ET.parse(tmp_path / "new" / "ladder.svg").getroot()
    assert picture.tag.endswith("svg")
    bars = {each.get("class"): float(each.get("width", 0)) for each in picture.iter()}
    assert bars["service"] / bars["near"] == pytest.approx(31_234.5 / 14_000, rel=0.01)
    assert "3 replicas" not in "".join(picture.itertext())  # they have a figure of their own
    assert json.loads((tmp_path / "new" / "ladder.json").read_text()) == result


def test_the_table_has_a_line_a_rung(result: dict[str, Any]) -> None:
    assert table(result)[3] == (
        "| + fast lane | 31,234 | 28,111-32,796 | 2.23 x + near cache | 43 | 0.4 | 2.5 "
        "| 8,000 | 75% |"
    )


def test_the_tables_of_the_documentation_are_written_between_their_marks(
    result: dict[str, Any],
) -> None:
    text = DOCS.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert before.startswith("# Benchmarks")
    assert after
    new = renewed(text, result)
    assert new == f"{before}{BEGIN}\n{rendered('tables.md', result)}\n{END}{after}"
    assert renewed(new, result) == new


def test_the_documentation_has_the_figures_of_the_record() -> None:
    record = json.loads((RESULTS / "ladder.json").read_text())
    assert renewed(DOCS.read_text(), record) == DOCS.read_text()
    assert (RESULTS / "report.html").read_text() == page(record)
