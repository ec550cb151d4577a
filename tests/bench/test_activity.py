"""The model of the visitors: the same for a seed, and shaped as its parameters say."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from bench.load.activity import Activity, Behaviour, is_row, visit
from bench.load.wire import Answer, Request

IDS = [f"{number:036d}" for number in range(500)]
AGAIN = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n"
STILL = Behaviour(release_every_s=0, write_share=0)
Drawn = list[tuple[float, Request]]


def drawn(
    behaviour: Behaviour, seconds: float = 20, ids: Sequence[str] = IDS, part: int = 0
) -> Drawn:
    return list(Activity(ids, behaviour, part).schedule(seconds))


def said(requests: Drawn) -> list[tuple[float, bytes]]:
    return [(due_s, request.wire) for due_s, request in requests]


def test_the_same_seed_gives_the_same_requests_at_the_same_times() -> None:
    first = drawn(Behaviour(write_share=0.1))
    random.seed(7)  # it draws from nobody else's numbers
    assert said(first) == said(drawn(Behaviour(write_share=0.1)))
    assert said(first) != said(drawn(Behaviour(write_share=0.1, seed=2)))


def test_requests_are_due_in_order_from_the_first_moment_at_the_rate_asked_for() -> None:
    due = [due_s for due_s, _ in drawn(Behaviour(), 60)]
    assert due == sorted(due)
    assert due[0] >= 0
    assert due[-1] < 60
    assert len(due) == pytest.approx(60 * 400, rel=0.05)
    assert sum(due_s < 5 for due_s in due) == pytest.approx(5 * 400, rel=0.15)


def test_visitors_arrive_independently() -> None:
    visits = [due_s for due_s, request in drawn(STILL, 200) if request.kind == "home"]
    gaps = [after - before for before, after in pairwise(visits)]
    mean_s = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean_s) ** 2 for gap in gaps) / len(gaps))
    assert deviation == pytest.approx(mean_s, rel=0.05)  # of an exponential they are the same


@pytest.mark.parametrize("exponent", [0.0, 0.9, 1.2])
def test_titles_are_hovered_by_zipf(exponent: float) -> None:
    behaviour = Behaviour(zipf=exponent, release_every_s=0)
    counts = Counter(
        request.path for _, request in drawn(behaviour, 250) if request.kind == "hover"
    )
    weights = [(rank + 1) ** -exponent for rank in range(len(IDS))]
    whole, ranked = sum(counts.values()), [times for _, times in counts.most_common()]
    for ranks in (1, 10, 100):
        expected = sum(weights[:ranks]) / sum(weights)
        assert sum(ranked[:ranks]) / whole == pytest.approx(expected, abs=0.03)


def test_hovers_fall_geometrically_along_a_row() -> None:
    rng, behaviour = random.Random(1), Behaviour()
    steps = [step for _ in range(5_000) for step in visit(behaviour, rng)]
    at = Counter(step.position for step in steps if step.kind == "hover")
    further = behaviour.onward * (1 - behaviour.click)
    for position in range(5):
        assert at[position + 1] / at[position] == pytest.approx(further, abs=0.03)
    assert max(at) < behaviour.tiles


def test_a_visit_is_as_long_as_its_parameters_say() -> None:
    rng, behaviour = random.Random(1), Behaviour()
    steps = [step for _ in range(5_000) for step in visit(behaviour, rng)]
    assert len(steps) / 5_000 == pytest.approx(behaviour.requests_a_visit, rel=0.03)
    kinds = Counter(step.kind for step in steps)
    assert kinds["hover"] / 5_000 == pytest.approx(behaviour.hovers_a_visit, rel=0.03)
    assert kinds["click"] / kinds["hover"] == pytest.approx(behaviour.click, rel=0.1)


def test_hovers_and_clicks_say_their_priority_and_a_click_plays_what_was_hovered() -> None:
    requests = [request for _, request in drawn(STILL)]
    assert {(each.kind, each.headers) for each in requests} == {
        ("home", b""),
        ("hover", b"Priority: u=5\r\n"),
        ("click", b"Priority: u=1\r\n"),
    }
    one = [each.path for _, each in drawn(Behaviour(rate_s=0.02, write_share=0, click=1.0), 20_000)]
    visits = "".join(f"{path}," for path in one).split("/home,")
    pairs = [visit.split(",")[:2] for visit in visits if visit.count(",") == 2]
    assert len(pairs) > 50  # visits that no other came into
    assert all(hovered == played for hovered, played in pairs)


def test_writes_have_their_share_and_are_a_change_or_a_new_row() -> None:
    requests = [request for _, request in drawn(Behaviour(write_share=0.1), 60)]
    writes = [each for each in requests if each.kind == "write"]
    assert len(writes) / len(requests) == pytest.approx(0.1, rel=0.1)
    methods = Counter(each.method for each in writes)
    assert methods["POST"] / len(writes) == pytest.approx(0.1, abs=0.03)
    assert methods.keys() == {"PATCH", "POST"}
    assert not any(each.kind == "write" for _, each in drawn(STILL))


def test_a_release_comes_among_the_popular() -> None:
    def popular(since_s: float, requests: Drawn) -> set[str]:
        counts = Counter(
            each.path for due_s, each in requests if since_s <= due_s and each.kind == "hover"
        )
        return {path for path, _ in counts.most_common(10)}

    moving = drawn(Behaviour(release_every_s=2, release_rank=1, zipf=1.2), 60)
    early = [each for each in moving if each[0] < 5]
    assert len(popular(0, early) & popular(55, moving)) < 5
    still = drawn(Behaviour(release_every_s=0, zipf=1.2), 60)
    early = [each for each in still if each[0] < 5]
    assert len(popular(0, early) & popular(55, still)) >= 5


def test_parts_have_one_taste_and_their_own_visitors() -> None:
    parts = [drawn(Behaviour(release_every_s=0), part=part) for part in (0, 1)]
    assert said(parts[0]) != said(parts[1])
    first, second = (Counter(request.path for _, request in part) for part in parts)
    assert {path for path, _ in first.most_common(3)} == {path for path, _ in second.most_common(3)}


def test_only_the_right_answer_is_expected() -> None:
    requests = {request.kind: request for _, request in drawn(Behaviour(write_share=0.1))}
    hover = requests["hover"]
    video_id = hover.path.rpartition("/")[2].encode()
    row = b'{"status":"success","data":{"id":"%b","title":"x"}}'
    home = b'{"status":"success","data":{"homePage":[{"Dramas":["1"]}]}}'
    cases: list[tuple[Request, int, bytes, bool]] = [
        (hover, 200, row % video_id, True),
        (hover, 200, row % b"another", False),
        (hover, 200, (row % video_id)[:-1], False),
        (hover, 404, row % video_id, False),
        (hover, 503, b'{"status":"failed","message":"later"}', True),
        (requests["home"], 200, home, True),
        (requests["home"], 200, b'{"status":"success","data":{"homePage":[]}}', False),
    ]
    for request, status, body, is_right in cases:
        assert request.expect is not None
        assert request.expect(Answer(status, AGAIN, body)) is is_right, body
    assert not is_row("x")(Answer(503, b"", cases[4][2]))  # it does not say when to come again
