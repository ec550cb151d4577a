"""The report: sound HTML, by itself, and no figure that is not in the JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench.report import table, write_report
from bench.report.page import page
from tests.bench.reports import leaves, read

LATENCY = {"50": 0.4, "90": 1.0, "99": 2.5, "99.9": 9.75, "99.99": 11.0, "100": 12.25}


def seen(**more: Any) -> dict[str, Any]:
    return {
        "rate_s": 400.0,
        "goodput_s": 399.5,
        "failed": 0,
        "wrong": 0,
        "late": 3,
        "deadline_ms": 200.0,
        "latency_ms": LATENCY,
        "layers": {"near": 0.75, "store": 0.25},
        "cached": 0.75,
        "generator_was_the_limit": False,
        "cores": 0.5,
        "generator_cores": 0.25,
        "others_cores": 0.125,
        **more,
    }


def rung(name: str, requests_s: float, **more: Any) -> dict[str, Any]:
    limit = {
        "by": "wrk",
        "requests_s": requests_s,
        "goodput_s": requests_s,
        "failed": 0,
        "others_cores": 0.0,
    }
    cpu_us = {"service": 40.5, "cassandra": 2.25}
    return {
        "name": name,
        "note": "a <note>",
        "is_peer": False,
        "open": seen(),
        "limit": {**limit, "cpu_us": cpu_us, "cpu_us_total": 42.75},
        **more,
    }


@pytest.fixture
def result() -> dict[str, Any]:
    tried = [
        seen(rate_s=14_000, holds=True, verdict="holds"),
        seen(rate_s=16_000, holds=False, verdict="the generators were the limit"),
    ]
    peak = {"bar_ms": 20.0, "write_share": 0.002, "held_s": 1.0, "tried": tried}
    rungs = [
        rung("+ fast lane", 31_234.5, peaks=[peak]),
        rung("a <peer>", 1_300.0, is_peer=True),
    ]
    return {
        "kind": "full",
        "made": "2026-01-01",
        "taken_s": 1,
        "rungs": rungs,
        "plan": {"rate_s": 400, "open_s": 20},
        "machine": {"processor": "A & B", "cores": 2},
        "versions": {"wrk": "4.1"},
        "behaviour": {"zipf": 0.9},
        "left_out": {"nginx": "nginx is not installed"},
    }


def test_the_page_is_sound_and_needs_nobody(result: dict[str, Any]) -> None:
    html = page(result)
    reader = read(html)
    assert reader.links == []
    assert "<script" not in html
    assert "url(" not in html
    assert "a &lt;peer&gt;" in html
    assert "a <peer>" not in html
    assert "nginx is not installed" in html
    assert html.count("<svg") == 3
    assert "prefers-color-scheme:dark" in html


def test_every_figure_is_in_the_json(result: dict[str, Any]) -> None:
    reader = read(page(result))
    assert len(reader.figures) > 35
    assert set(reader.figures) <= leaves(result)
    assert 31_234.5 in reader.figures
    said = " ".join(reader.loose)
    assert not any(letter.isdigit() for letter in said), said  # every figure of a table is marked
    result["rungs"][0]["limit"]["requests_s"] = 7.0
    assert not set(reader.figures) <= leaves(result) - {31_234.5}


def test_a_limit_that_was_the_generators_is_said(result: dict[str, Any]) -> None:
    assert page(result).count("the generators were the limit") == 1


def test_the_files_are_written_and_the_picture_stands_alone(
    result: dict[str, Any], tmp_path: Path
) -> None:
    write_report(result, tmp_path / "new")
    picture = ET.parse(tmp_path / "new" / "ladder.svg").getroot()
    assert picture.tag.endswith("svg")
    widths = [float(each.get("width", 0)) for each in picture.iter() if each.get("class") == "f0"]
    grey = [float(each.get("width", 0)) for each in picture.iter() if each.get("class") == "peer"]
    assert widths[0] / grey[0] == pytest.approx(31_234.5 / 1_300, rel=0.01)
    assert json.loads((tmp_path / "new" / "ladder.json").read_text()) == result


def test_the_table_has_a_line_a_rung(result: dict[str, Any]) -> None:
    assert table(result).splitlines()[2] == "| + fast lane | 31,234 | 43 | 0.4 | 2.5 | 9.8 | 75% |"
