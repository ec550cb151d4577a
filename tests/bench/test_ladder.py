"""The ladder: its arithmetic, what it says of what is missing, and one rung that is really stood
on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.lab.spawn import ServerError
from bench.lab.targets import Service
from bench.ladder import __main__ as ladder
from bench.ladder import measure
from bench.ladder.machine import beside
from bench.ladder.rungs import Standing, rungs
from bench.load.__main__ import summed
from bench.load.activity import Behaviour
from bench.load.result import Line, Outcome, Result
from tests.bench.reports import figures_of, leaves


def line(due_s: float, latency_s: float = 0.001, slip_s: float = 0.0, **more: Any) -> Line:
    outcome = Outcome("hover", 200, "near", False, "")._replace(**more)
    return Line(due_s, latency_s, latency_s, slip_s, outcome)


def summary(*lines: Line, seconds: float = 2.0) -> dict[str, Any]:
    result = Result()
    for each in lines:
        result.add(each)
    return measure.summed([summed(result, 10.0, seconds)] * 2, seconds)


def test_only_right_answers_in_time_are_goodput() -> None:
    found = summary(
        line(9.9),  # the warm-up
        line(10.0),
        line(10.5, latency_s=0.3),
        line(11.0, status=503),
        line(11.5, is_wrong=True, detail="redis"),
    )
    assert (found["requests"], found["good"], found["failed"], found["wrong"]) == (8, 2, 4, 2)
    assert found["goodput_s"] == 1.0
    assert found["layers"] == {"near": 1.0}
    assert found["latency_ms"]["100"] == pytest.approx(300, rel=0.01)


def test_a_late_generator_is_the_limit_and_holds_nothing() -> None:
    in_time = [line(10.0 + at / 100) for at in range(99)]
    found = summary(*in_time)
    assert not found["generator_was_the_limit"]
    assert measure.holds(found)
    for spoiled in ([line(11.0, slip_s=0.02)] * 2, [line(11.0, latency_s=0.1)] * 5):
        assert not measure.holds(summary(*in_time, *spoiled))
    assert not measure.holds(summary(*in_time, line(11.0, 0.001, status=500)))


def test_the_rungs_are_those_of_the_issue() -> None:
    ours = [rung.name for rung in rungs() if not rung.is_peer]
    assert ours[:5] == ["embedded", "Cassandra", "+ Redis", "+ near cache", "+ fast lane"]
    assert ours[5:] == ["1 replica", "2 replicas", "3 replicas"]
    assert [rung.name for rung in rungs() if rung.is_peer] == ["Koa", "nginx"]


def test_what_is_missing_is_said_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def climbed(rung: Any, *_: object) -> dict[str, Any]:
        if rung.name == "nginx":
            raise ServerError("nginx is not installed")
        return {"name": rung.name, "limit": {"cpu_us_total": 1.0}}

    monkeypatch.setattr(ladder, "climb", climbed)
    result = ladder.run(ladder.QUICK, ["nginx", "Koa"], 1)
    assert [rung["name"] for rung in result["rungs"]] == ["Koa"]
    assert result["left_out"]["nginx"] == "nginx is not installed"
    assert "left out: nginx is not installed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seen", "most", "fails"),
    [
        ({}, {}, False),
        ({"failed": 10}, {"failed": 999}, False),
        ({"failed": 11}, {}, True),
        ({"failed": 1, "wrong": 1}, {}, True),
        ({}, {"failed": 1000}, True),
    ],
)
def test_wrong_answers_and_failures_fail_the_run(
    seen: dict[str, int], most: dict[str, int], fails: bool
) -> None:
    counts = {"requests": 1000, "failed": 0, "wrong": 0}
    rung = {"name": "x", "open": {**counts, **seen}, "limit": {**counts, **most}}
    assert bool(ladder.failures({"rungs": [rung]})) is fails


def test_a_rung_is_stood_on_without_wrk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def without_wrk(program: str) -> str:
        raise ServerError(f"{program} is not installed")

    monkeypatch.setattr("bench.load.wrk.installed", without_wrk)
    plan = ladder.QUICK._replace(rate_s=50, warm_s=0.5, open_s=2, limit_s=1)
    monkeypatch.setattr(ladder, "QUICK", plan)
    status = ladder.main(["--quick", "--only", "embedded", "--folder", str(tmp_path)])
    said = capfd.readouterr().out
    assert status == 0, said
    assert re.search(r" answered \d+/s", said)
    result = json.loads((tmp_path / "ladder.json").read_text())
    (rung,) = result["rungs"]
    assert rung["limit"]["by"] == "our closed loop"
    assert rung["limit"]["requests_s"] > 0
    assert rung["open"]["requests"] > 50
    assert rung["open"]["failed"] == 0  # good are those that were in time, too
    assert rung["open"]["layers"].keys() <= {"store", "collapsed"}
    assert rung["open"]["cached"] == 0
    assert rung["limit"]["cpu_us"]["service"] > 0
    html = (tmp_path / "report.html").read_text()
    figures = figures_of(html)
    assert len(figures) > 15
    assert set(figures) <= leaves(result)


def test_work_of_others_is_told_from_ours() -> None:
    own_cores = 0.0

    def ours() -> dict[str, int]:
        nonlocal own_cores
        began_s, end_s = time.monotonic(), time.process_time() + 0.5
        while time.process_time() < end_s:
            pass
        own_cores = 0.5 / (time.monotonic() - began_s)
        return {"x": 1}

    def theirs() -> dict[str, int]:
        time.sleep(1)
        return {"x": 1}

    burning = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(burning) as other:
        busy = beside([], theirs)["others_cores"]
        other.kill()
    quiet = beside([], ours)
    assert quiet["x"] == 1
    assert busy > 0.2  # of a core, however many others there are
    assert quiet["others_cores"] < (os.cpu_count() or 1) - own_cores / 2


@pytest.mark.parametrize(
    ("bears", "tried", "held_s"),
    [
        (15_000, [10_000, 14_000, 16_000, 16_000], 14_000),
        (99_000, [10_000, 14_000, 16_000, 18_000], 18_000),
        (1_000, [10_000, 10_000], 0),
    ],
)
def test_a_peak_is_looked_for_up_to_the_first_rate_that_does_not_hold(
    bears: int, tried: list[int], held_s: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offered(_stands: object, _ids: Path, load: measure.Load) -> dict[str, Any]:
        rate_s = load.behaviour.rate_s
        found = summary(*[line(10.0, 0.001 if rate_s <= bears else 0.1)] * 10)
        found |= {"rate_s": rate_s, "goodput_s": rate_s}
        return {**found, "cores": 1.0, "generator_cores": 1.0}

    monkeypatch.setattr(measure, "open_loop", offered)
    entry = Service({})
    rates_s = (10_000, 14_000, 16_000, 18_000)
    found = measure.peak(Standing(entry), tmp_path, rates_s, measure.Load(Behaviour(), 1, 1))
    assert [each["rate_s"] for each in found["tried"]] == tried
    assert found["held_s"] == held_s
