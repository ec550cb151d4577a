"""The drills in short, on a Cassandra of their own, which one kills; and that they can fail."""

import csv
import gzip
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any

import pytest

from bench.drills import __main__ as drills
from bench.drills import cassandra, cold, hostile, overload, soak
from bench.drills.world import Finding, Options, Outage, Stand, World, made
from bench.lab.servers import CassandraNode, settings_of
from bench.lab.spawn import ServerError
from bench.lab.targets import CATALOGUE, ROOT, catalogue
from bench.load.result import Line, Result, Tally

SHORT = Options(is_short=True)
ROWS = 2_200


class SmallStand(Stand):
    """On a node that other tests use, too; with a part of the catalogue in it."""

    def __init__(self, running: ExitStack, node: CassandraNode, folder: Path) -> None:
        super().__init__(running)
        self._node, self._file = node, folder / "part.csv.gz"

    @cached_property
    def cassandra(self) -> CassandraNode:
        with gzip.open(ROOT / CATALOGUE, "rt") as whole, gzip.open(self._file, "wt") as part:
            csv.writer(part).writerows(itertools.islice(csv.reader(whole), 1 + ROWS))
        catalogue(settings_of(self._node.start()), "import", str(self._file), "--if-empty")
        return self._node


@pytest.fixture(scope="module")
def stand(frail_node: CassandraNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with ExitStack() as running:
        yield SmallStand(running, frail_node, tmp_path_factory.mktemp("catalogue"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["redis", "cassandra", "cold", "hostile"])
def test_what_has_to_hold_holds(name: str, stand: Stand) -> None:
    """Twice if need be: a service gives up and sheds by time, and other tests take the machine."""
    failed = failures(name, stand) and failures(name, stand)
    assert not failed, "\n".join(map(str, failed))


def failures(name: str, stand: Stand) -> list[Finding]:
    findings = drills.run(name, SHORT, stand)
    assert len(findings) >= 3, findings
    # a percentile says something only on a machine that does nothing else
    judged = [each for each in findings if not each.bar.startswith("p99")]
    return [each for each in judged if not each.holds and not each.seen.startswith("SKIPPED")]


@pytest.fixture
def world() -> Iterator[World]:
    """Where findings are judged; nothing is started."""
    with ExitStack() as running, made("test", SHORT, Stand(running)) as empty:
        yield empty


def line(due_s: float = 0.0, status: int = 200, latency_s: float = 0.001, **more: Any) -> Line:
    times_s = due_s, latency_s, latency_s, 0.0
    return Line(*times_s, "read", status, "near", False, "")._replace(**more)


def tally(*lines: Line) -> Tally:
    summed = Tally()
    for each in lines:
        summed.add(each)
    return summed


def held(world: World) -> list[bool | None]:
    return [finding.holds for finding in world.findings]


@pytest.mark.parametrize(
    ("drill", "status"),
    [
        (lambda world: world.judge("x", "y", "z", True), 0),
        (lambda world: world.judge("x", "y", "SKIPPED: no wrk", None), 0),
        (lambda world: world.judge("x", "y", "z", False), 1),
    ],
    ids=["holds", "skipped", "fails"],
)
def test_the_exit_status_says_whether_all_held(
    drill: Callable[[World], None],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(drills, "drill_of", lambda _name: drill)
    assert drills.main(["redis"]) == status
    verdict = {0: "-" if "SKIPPED" in (said := capsys.readouterr().out) else "pass", 1: "FAIL"}
    assert f"| {verdict[status]} |" in said


def test_a_drill_that_cannot_go_on_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_world: World) -> None:
        raise ServerError("redis did not start")

    monkeypatch.setattr(drills, "drill_of", lambda _name: broken)
    with ExitStack() as running:
        (finding,) = drills.run("redis", SHORT, Stand(running))
    assert finding.holds is False
    assert "redis did not start" in finding.seen


def test_every_name_is_a_drill_and_every_drill_has_a_name() -> None:
    assert all(callable(drills.drill_of(name)) for name in drills.NAMES)
    files = Path(drills.__file__).parent.glob("*.py")
    runs = {path.stem for path in files if "\ndef run(world: World)" in path.read_text()}
    assert runs == set(drills.NAMES)


@pytest.mark.parametrize("name", ["balancer", "restarts"])
def test_a_program_that_is_missing_is_a_reason_to_skip(
    name: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(world.folder))
    monkeypatch.setattr("bench.lab.targets.shutil.which", lambda _program, path: None)
    drills.drill_of(name)(world)
    (finding,) = world.findings
    assert finding.holds is None
    assert finding.seen == "SKIPPED: haproxy is not installed"


def test_hostile_reads_twice_as_slow_or_failed_are_convicted(world: World) -> None:
    quiet = tally(*[line(latency_s=0.06)] * 100)
    for attacked in (
        quiet,
        tally(*[line(latency_s=0.13)] * 100),
        tally(*[line(latency_s=0.02)] * 99, line(status=503)),
        tally(),
    ):
        hostile.judge_reads(world, "x", quiet, attacked)
    assert held(world) == [True, True, True, False, False, True, False, True]


def test_cold_reads_of_the_store_beyond_keys_and_lost_goodput_are_convicted(world: World) -> None:
    result = Result()
    began_s = result.began_s
    for second in range(10):
        for _ in range(40 if second == 7 else 100):
            result.append(line(began_s + second))
    for reads, holds in ((90, True), (111, False), (0, False)):
        cold.judge_cold(world, result, reads, 100, began_s + 5)
        assert held(world) == [True, holds, True]
        world.findings.clear()
    for _ in range(1_000):
        result.append(line(began_s + 20))
    cold.judge_cold(world, result, 90, 100, began_s + 5)  # nothing from the ninth second on
    assert held(world) == [True, True, False]


def test_connections_that_stall_are_held_within_the_limit() -> None:
    with ExitStack() as running:
        findings = drills.run("held", SHORT, Stand(running))
    said = "\n".join(map(str, findings))
    assert [each.holds for each in findings] == [True] * 3, said
    small, bodies, heads = (each.seen for each in findings)
    for seen in (small, bodies, heads):
        assert "1,450 bodies" in seen or "1,450 heads" in seen
    assert " 503" not in small.partition("near hits")[0]
    assert " 503" in bodies.partition("near hits")[0]


OUTAGE = Outage("killed", 10.0, 0.1, 20.0, 25.0, 1.0, 35.0)


@pytest.mark.parametrize(
    ("fault", "convicted"),
    [
        (line(5.0), None),
        (line(11.0, 503, kind="cached"), 1),
        (line(11.0, kind="cached", is_wrong=True), 1),
        (line(15.0, 504, kind="uncached"), 2),
        (line(15.0, 503, 0.06, kind="uncached"), None),
        (line(15.0, 503, kind="uncached", is_wrong=True), 2),
        (line(11.0, 504, 1.0, kind="uncached"), None),
        (line(26.0, 503, kind="uncached"), None),
        (line(29.0, 503, kind="uncached"), 3),
        (line(29.0, 0, kind="uncached", error="reset"), 3),
    ],
)
def test_an_outage_of_cassandra_is_judged_by_its_times(
    world: World, fault: Line, convicted: int | None
) -> None:
    result = Result()
    for due_s, status, kind in (
        (15.0, 200, "cached"),
        (15.0, 503, "uncached"),
        (29.0, 200, "uncached"),
    ):
        result.append(line(due_s, status, kind=kind))
    result.append(fault)
    cassandra.judge_outage(world, OUTAGE, result)
    assert held(world) == [at != convicted for at in range(4)]


@pytest.mark.parametrize(("slow", "holds"), [(2, True), (3, False)])
def test_refusals_may_be_slow_one_in_a_hundred(world: World, slow: int, holds: bool) -> None:
    result = Result()
    for number in range(200):
        latency_s = 0.06 if number < slow else 0.01
        result.append(line(15.0, 503, latency_s, kind="uncached"))
    cassandra.judge_refusals(world, OUTAGE, result)
    assert held(world) == [holds]


def test_a_soak_convicts_wrong_rows_other_statuses_and_growth(world: World) -> None:
    good = line()
    for bad in (line(is_wrong=True), line(status=500), line(status=0, error="reset")):
        soak.judge_answers(world, "x", tally(good, bad), tally(good))
    assert held(world) == [False, True] * 3
    world.findings.clear()
    warm = soak.Size(50_000_000, 40)
    for end in ((60_000_000, 45), (71_000_000, 45), (60_000_000, 61)):
        soak.judge_sizes(world, [warm, warm, soak.Size(*end)], 1)
    assert held(world) == [True, False, False]


def test_clicks_that_are_late_are_no_goodput() -> None:
    result = Result()
    for latency_s, kind in ((0.5, "click"), (1.5, "click"), (0.5, "hover")):
        result.append(line(latency_s=latency_s, kind=kind))
    share, seen = overload.clicks_of(result, 1.0)
    assert share == 0.5
    assert "goodput 2/s" in seen


def test_a_finding_is_a_row() -> None:
    finding = Finding("redis", "killed", "nothing", "it", False)
    assert str(finding) == "| redis | killed | nothing | it | FAIL |"


def test_what_was_never_said_is_not_slow() -> None:
    assert not nan > cassandra.AT_ONCE_S
    assert hostile.told(Counter({"slow lorises begun": 1000})) == "1,000 slow lorises begun"
