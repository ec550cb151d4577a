"""The ladder: its arithmetic, what it says of what is missing, and one rung that is really stood
on."""

import json
import os
import re
import signal
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
from bench.ladder.__main__ import QUICK
from bench.ladder.bars import judged
from bench.ladder.measure import beside
from bench.ladder.run import Measured, run
from bench.ladder.rungs import BUYS, RUNGS, Rung, Standing
from bench.load.__main__ import Load, figures, seen_of
from bench.load.activity import Behaviour
from bench.load.result import Line, Result
from bench.report.charts import LOOKS
from tests.bench.reports import figures_of, leaves


def line(due_s: float, latency_s: float = 0.001, slip_s: float = 0.0, **more: Any) -> Line:
    times_s = due_s, latency_s, latency_s, slip_s
    return Line(*times_s, "hover", 200, "near", False, "")._replace(**more)


def summary(*lines: Line, seconds: float = 2.0) -> dict[str, Any]:
    result = Result()
    for each in lines:
        result.append(each)
    return figures([seen_of(result, 10.0, seconds)] * 2, seconds)


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


def test_a_late_generator_is_the_limit_and_holds_nothing() -> None:
    in_time = [line(10.0 + at / 10_000) for at in range(10_000)]
    found = summary(*in_time)
    assert not found["generator_was_the_limit"]
    assert measure.holds(found)
    for spoiled in ([line(11.0, slip_s=0.02)] * 200, [line(11.0, latency_s=0.1)] * 200):
        assert not measure.holds(summary(*in_time, *spoiled))
    assert not measure.holds(summary(*in_time, line(11.0, 0.001, status=500)))


def test_a_percentile_is_told_where_a_hundred_samples_lie_beyond_it() -> None:
    def told(count: int) -> list[str]:  # by two generators, each with half of it
        return list(summary(*[line(10.0 + at / count) for at in range(count // 2)])["latency_ms"])

    assert told(198) == []
    assert told(200) == ["50"]
    assert told(9_998) == ["50", "90"]
    assert told(10_000) == ["50", "90", "99"]
    assert told(100_000)[-1] == "99.9"
    assert not measure.holds(summary(*[line(10.0)] * 4_000))  # nobody knows its p99


def test_the_rungs_are_those_of_the_issue() -> None:
    by_figure: dict[str, list[str]] = {}
    for rung in RUNGS:
        by_figure.setdefault(rung.figure, []).append(rung.name)
    assert by_figure == {
        "ladder": ["embedded", "Cassandra", "+ Redis", "+ near cache", "+ fast lane"],
        "replicas": ["1 replica", "2 replicas", "3 replicas"],
        "peers": ["Koa uncached", "Koa + Redis", "nginx"],
    }
    below = [""]
    for rung in RUNGS:
        assert rung.against in below
        below.append(rung.name)
    assert [*BUYS] == [rung.name for rung in RUNGS]
    assert LOOKS.keys() == BUYS.keys()


def test_each_rung_is_measured_in_each_run_and_the_missing_ones_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = iter((900.0, 3_000.0, 1_100.0, 4_000.0, 1_000.0, 9_000.0))
    visited = []

    def stand(rung: Rung, _base: object, _plan: object, found: dict[str, Measured]) -> None:
        if rung.name == "nginx":
            raise ServerError("nginx is not installed")
        visited.append(rung.name)
        steps = [{"holds": True, "rate_s": 500}, {"holds": False, "rate_s": 800}]
        found.setdefault(rung.name, Measured(steps, [])).limits.append({"goodput_s": next(rates)})

    monkeypatch.setattr("bench.ladder.run.stand", stand)
    names = ("Cassandra", "+ Redis", "nginx")
    result = run(QUICK._replace(runs=3), [rung for rung in RUNGS if rung.name in names])
    assert visited == ["Cassandra", "+ Redis"] * 3
    cassandra, redis = result["rungs"]
    assert cassandra["limit"] == {"goodput_s": 1_000, "runs": 3, "least_s": 900, "most_s": 1_100}
    assert (cassandra["factor"], redis["factor"]) == (None, 4.0)
    assert redis["held_s"] == 500
    (left,) = (left for left in result["left_out"] if left["name"] != "wrk")
    assert left == {"name": "nginx", "figure": "peers", "why": "nginx is not installed"}
    assert "left out: nginx is not installed" in capsys.readouterr().out


def measured(name: str, goodput_s: float, **more: Any) -> dict[str, Any]:
    step = {"rate_s": 14_000, "requests": 1_000, "failed": 10, "wrong": 0, "holds": True}
    cpu_us = {"service": 100.0, "koa": 200.0}
    limit = {"goodput_s": goodput_s, "cpu_us": cpu_us}
    figure = "peers" if name.startswith("Koa") else "ladder"
    rung = {"name": name, "figure": figure, "held_s": 14_000, "limit": limit}
    return {**rung, "steps": [{**step, **more}]}


def verdicts(*found: dict[str, Any]) -> list[bool | None]:
    return [bar["met"] for bar in judged(found)]


def test_each_bar_is_met_missed_or_open() -> None:
    ours = (("Cassandra", 2_000.0), ("+ Redis", 6_000.0), ("+ near cache", 7_000.0))
    lower = [measured(*each) for each in ours]
    koa = [measured("Koa uncached", 1_000), measured("Koa + Redis", 8_000)]
    top = measured("+ fast lane", 20_000)
    assert verdicts(*lower, *koa, top) == [True] * 7
    assert verdicts(*lower, top) == [True, True, True, None, None, None, True]
    slow = measured("+ fast lane", 7_100)
    assert verdicts(*lower, *koa, slow) == [True, True, False, False, True, True, True]
    wrong = measured("+ fast lane", 20_000, wrong=1)
    assert verdicts(*lower, *koa, wrong) == [False] + [True] * 6
    failing = measured("+ fast lane", 20_000, failed=11)
    assert verdicts(*lower, *koa, failing) == [True, False] + [True] * 5
    nothing = measured("+ fast lane", 0)
    assert verdicts(*lower, *koa, nothing)[1] is False
    hardly_asked = measured("+ fast lane", 20_000, rate_s=8_000) | {"held_s": 8_000}
    assert verdicts(*lower, *koa, hardly_asked) == [True] * 6 + [None]
    less = measured("+ fast lane", 20_000, rate_s=8_000, holds=False) | {"held_s": 0}
    assert verdicts(*lower, *koa, less) == [True] * 6 + [False]
    overloaded = [measured("Koa uncached", 1_000, failed=900, wrong=1), koa[1]]
    assert verdicts(*lower, *overloaded, top) == [True] * 7  # a peer may fail as it likes
    hungry = [measured("Koa uncached", 1_900), koa[1]]
    hungry[0]["limit"]["cpu_us"]["koa"] = 150.0
    assert verdicts(*lower, *hungry, top) == [True] * 4 + [False, False, True]


@pytest.mark.parametrize(
    ("met", "status"), [([True, None], 0), ([True, False], 1), ([None, None], 0)]
)
def test_a_missed_bar_is_the_exit_status(
    met: list[bool | None], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = {"name": "x", "bound": "at least", "value": 1.0, "found": 1.0}
    bars = [{**bar, "met": each} for each in met]
    monkeypatch.setattr(ladder, "run", lambda *_: {"rungs": [], "left_out": []})
    monkeypatch.setattr(ladder, "judged", lambda _: bars)
    assert ladder.main(["--folder", str(tmp_path)]) == status


def test_a_rung_is_stood_on_without_wrk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def without_wrk(program: str) -> str:
        raise ServerError(f"{program} is not installed")

    monkeypatch.setattr("bench.load.wrk.installed", without_wrk)
    plan = QUICK._replace(steps=((50, 2.5), (60, 0.5)), warm_s=0.5, limit_s=1)
    monkeypatch.setattr(ladder, "QUICK", plan)
    status = ladder.main(["--quick", "--only", "embedded", "--folder", str(tmp_path)])
    said = capfd.readouterr().out
    assert status == 0, said
    assert re.search(r" answered \d+/s", said)
    result = json.loads((tmp_path / "ladder.json").read_text())
    (rung,) = result["rungs"]
    assert rung["limit"]["by"] == "our closed loop"
    assert rung["limit"]["goodput_s"] > 0
    assert rung["limit"]["cpu_us"]["service"] > 0
    (step,) = rung["steps"]  # too few answers for a p99, so nothing is held
    assert (step["tries"], step["holds"]) == (2, False)
    assert 50 < step["requests"] < 250
    assert step["failed"] == 0  # good are those that were in time, too
    assert step["layers"].keys() <= {"store", "collapsed"}
    assert step["cached"] == 0
    figures = figures_of((tmp_path / "report.html").read_text())
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

    # begun by a shell that has ended, so it is no child of ours
    burning = f"{sys.executable} -c 'while True: pass' > /dev/null & echo $!"
    other = int(subprocess.check_output(burning, shell=True))
    try:
        busy = beside(theirs)["others_cores"]
    finally:
        os.kill(other, signal.SIGKILL)
    quiet = beside(ours)
    assert quiet["x"] == 1
    assert busy > 0.2  # of a core, however many others there are
    assert quiet["others_cores"] < (os.cpu_count() or 1) - own_cores / 2


@pytest.mark.parametrize(
    ("bears", "tried", "tries"),
    [
        (15_000, [10_000, 14_000, 16_000], 2),
        (99_000, [10_000, 14_000, 16_000, 18_000], 1),
        (1_000, [10_000], 2),
    ],
)
def test_rates_are_climbed_up_to_the_first_that_does_not_hold_twice(
    bears: int, tried: list[int], tries: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    warmed = []

    def offered(_stands: object, _ids: Path, load: Load) -> dict[str, Any]:
        warmed.append(load.warm_s)
        found = summary(*[line(10.0, 0.001 if load.behaviour.rate_s <= bears else 0.1)] * 5_000)
        return {**found, "rate_s": load.behaviour.rate_s, "cores": 1.0, "generator_cores": 1.0}

    monkeypatch.setattr(measure, "open_loop", offered)
    steps = [(rate_s, 1.0) for rate_s in (10_000, 14_000, 16_000, 18_000)]
    found = measure.climb(Standing(Service({}), {}), tmp_path, Behaviour(), 7.0, steps)
    assert [each["rate_s"] for each in found] == tried
    assert [each["holds"] for each in found] == [rate_s <= bears for rate_s in tried]
    assert found[-1]["tries"] == tries
    assert warmed[0] == 7.0
