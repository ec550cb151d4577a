"""The consistency check (``bench/consistency``) in short, and that it can convict."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from bench.consistency.chaos import FAULTS, Options
from bench.consistency.check import Report, run_on
from bench.consistency.end import list_faults
from bench.consistency.judge import History, Judge
from bench.consistency.readers import ABSENT, Doubt, Readings, layer_of
from bench.consistency.writers import REST_S, Write
from bench.lab.servers import CassandraNode, RedisServer
from db.store import Stored
from db.version import make_version

LOAD_S = 14.0
READERS = 4
"""``python -m bench.consistency`` runs for longer, with more of them."""
CAUSED = tuple(fault for fault in FAULTS if fault != "crash")
"""A crash may leave a list behind, and here nothing may."""
NEAR_TTL_S = 5.0


@pytest.fixture(scope="module")
def report(cassandra_node: CassandraNode) -> Iterator[Report]:
    with RedisServer() as redis:  # one whose clients nobody else misses
        options = Options(LOAD_S, READERS, faults=CAUSED, restart_redis=True)
        yield run_on(cassandra_node, redis, options)


@pytest.mark.timeout(180)
def test_no_answer_is_older_than_promised_and_no_write_is_lost(report: Report) -> None:
    assert not report.verdict.violations, "\n".join(report.lines())


@pytest.mark.timeout(180)
def test_the_check_saw_every_layer_and_every_kind_of_write(report: Report) -> None:
    said = "\n".join(report.lines())
    assert report.checked > 50 * LOAD_S, said  # a busy machine does no more
    for layer in ("near", "redis", "store", "absent", "several"):
        assert report.counts[layer], said
    held = {write.method for write in report.writes if write.held}
    assert held == {"POST", "PATCH", "DELETE"}, said
    assert {*CAUSED, "restart"} == set(report.chaos), said


def write(number: int, at_s: float, **fields: Any) -> Write:
    """PATCH ``number`` of row 0 through replica 0, answered at ``at_s`` seconds."""
    base = Write(0, number, "PATCH", 0, at_s - 0.5, at_s, 200, 2 * number, body(number))
    return base._replace(**fields)


def body(number: int) -> bytes:
    row = {"lastupdated": make_version(number, b"12345678"), "duration": number}
    return orjson.dumps({"data": row})


def read(position: int, start_s: float, replica: int = 1, layer: str = "near") -> Doubt:
    return Doubt(0, replica, layer, "plain", start_s, start_s + 0.5, position, 0)


def convicted(writes: list[Write], doubt: Doubt) -> set[str]:
    judge = Judge(writes, NEAR_TTL_S)
    judge.doubt(doubt)
    return set(judge.verdict.violations)


WRITES = [write(1, 1.0), write(2, 2.0), write(3, 30.0, replica=1)]


def test_a_state_is_replaced_by_whichever_later_write_was_acknowledged_first() -> None:
    late = write(4, 5.0)
    history = History([write(1, 1.0), write(5, 3.0), late])
    replaced = history.replaced_by(2)
    assert replaced is not None
    assert replaced.number == 5
    assert history.replaced_by(10) is None


@pytest.mark.parametrize(
    ("doubt", "violations"),
    [
        (read(4, 2.5), set()),
        (read(2, 1.9), set()),
        (read(2, 2.5), set()),
        (read(2, 8.5), {"older than the near TTL"}),
        (read(2, 3.5), {"push missed"}),
        (read(2, 2.5, layer="redis"), {"old from redis"}),
        (read(2, 2.5, layer="store"), {"old from store"}),
        (read(2, 2.5, layer="collapsed"), set()),
        (read(2, 2.5, replica=0), {"its own write missed"}),
        (read(ABSENT, 1.9, replica=0), {"its own write missed"}),
        (read(2, 1.9)._replace(seen=4), {"went back"}),
    ],
)
def test_an_old_answer_is_convicted_by_where_it_came_from(
    doubt: Doubt, violations: set[str]
) -> None:
    assert convicted(WRITES, doubt) == violations


def test_without_a_fence_a_state_may_go_again_until_its_write_is_answered() -> None:
    writes = [write(1, 1.0), write(2, 9.0, sent_s=2.0)]
    doubt = read(2, 4.0)._replace(seen=4)
    for unfenced_s, violations in ((3.0, set()), (1.5, {"went back"}), (5.0, {"went back"})):
        judge = Judge(writes, NEAR_TTL_S, [unfenced_s])
        judge.doubt(doubt)
        assert set(judge.verdict.violations) == violations


def test_a_given_up_write_whose_intent_was_lost_may_show_and_go_again() -> None:
    given_up = write(2, 3.0, sent_s=2.0, status=504, position=0, body=b"")
    doubt = read(2, 4.0)._replace(seen=4)
    for unfenced_s, violations in ((3.5, set()), (1.5, {"went back"}), (5.0, {"went back"})):
        judge = Judge([write(1, 1.0), given_up], NEAR_TTL_S, [unfenced_s])
        judge.readings(Readings(Counter(doubt=1), {b"tag": (0, 4, body(2))}, [doubt]))
        assert set(judge.verdict.violations) == violations


def test_a_cache_may_differ_at_rest_only_where_an_intent_was_lost() -> None:
    given_up = write(2, 3.0, sent_s=2.0, status=504, position=0, body=b"")
    for key, unfenced_s, violations in (
        (0, [2.5], set()),
        (0, [1.5], {"old at rest"}),
        (0, [3.1 + REST_S], {"old at rest"}),
        (1, [2.5], {"old at rest"}),
    ):
        judge = Judge([write(1, 1.0), given_up], NEAR_TTL_S, unfenced_s)
        judge.at_rest("old at rest", key, "differs")
        assert set(judge.verdict.violations) == violations


def test_absent_is_right_once_a_deletion_may_have_been_done() -> None:
    deletion = write(4, 5.0, method="DELETE", position=2 * 2 + 1, status=504)
    absent = read(ABSENT, 4.6)
    assert convicted([*WRITES, deletion], absent) == set()
    assert convicted([*WRITES, deletion._replace(status=412)], absent) == {"push missed"}


def test_states_of_no_write_are_convicted() -> None:
    refused, unknown = write(3, 3.0, status=503, body=b""), write(4, 4.0, status=504, body=b"")
    for number, violations in (
        (1, set()),
        (3, {"refused write shows"}),
        (4, set()),
        (5, {"made up"}),
    ):
        judge = Judge([write(1, 1.0), refused, unknown], NEAR_TTL_S)
        judge.state(0, 2 * number, body(number))
        assert set(judge.verdict.violations) == violations
    judge = Judge([write(1, 1.0)], NEAR_TTL_S)
    judge.state(0, 2, body(1) + b" ")
    assert set(judge.verdict.violations) == {"differs"}


def test_a_lost_write_is_convicted_at_the_end() -> None:
    for position, violations in ((6, set()), (4, {"lost write"}), (ABSENT, {"lost write"})):
        judge = Judge(WRITES, NEAR_TTL_S)
        judge.final(0, -1, position, 100.0)
        assert set(judge.verdict.violations) == violations


def test_a_line_of_an_earlier_life_a_missing_line_and_a_wrong_genre_are_found() -> None:
    row = Stored({"id": "x", "genres": ["a", "b"]}, "now", None)
    lines = [("a", "now", "x"), ("b", "now", "x")]
    assert list_faults([row], lines, ["a", "b"]) == []
    assert list_faults([row], [lines[0], ("b", "before", "x")], ["a", "c"]) == [
        "missing line: ('b', 'now', 'x')",
        "line of nothing: ('b', 'before', 'x')",
        "wrong in the list of genres: b",
        "wrong in the list of genres: c",
    ]


def test_a_stale_answer_is_one_whose_ttl_is_over() -> None:
    assert layer_of(b"content; hit; detail=near") == "near"
    assert layer_of(b"content; hit; ttl=-1; detail=near") == "stale"
    assert layer_of(b"elsewhere; hit") == "?"
