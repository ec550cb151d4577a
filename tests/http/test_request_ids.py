"""X-Request-Id: a client's own is sent back by every door, and one that may do harm is replaced."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.http.samples import post
from tests.http.service import RunningService, running
from tests.http.wire import request, talk

ID = "a-Z/0~!" + "x" * 121


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running({"NEAR_TTL_S": "600"}, tmp_path_factory.mktemp("ids")) as started:
        yield started


@pytest.fixture
def client(service: RunningService) -> httpx.Client:
    return service.client


def test_an_id_is_sent_back_with_every_answer(client: httpx.Client) -> None:
    row = f"/content/{post(client)['id']}"
    etag = client.get(row).headers["etag"]
    mine = {"X-Request-Id": ID}
    answers = [
        client.get(row, headers=mine),
        client.head(row, headers=mine),
        client.get(row, headers={**mine, "If-None-Match": etag}),
        client.get("/home", headers=mine),
        client.get("/no/such", headers=mine),
        client.patch(row, headers=mine, json={"title": ""}),
        client.patch(row, headers=mine, json={"title": "New"}),
        client.delete(row, headers=mine),
    ]
    assert [each.status_code for each in answers] == [200, 200, 304, 200, 404, 422, 200, 200]
    assert [each.headers.get_list("x-request-id") for each in answers] == [[ID]] * len(answers)


def test_a_hit_of_the_lane_has_the_id_of_its_own_request(service: RunningService) -> None:
    path = f"/content/{post(service.client)['id']}"
    service.client.get(path)
    plain, last = request("GET", path), request("GET", "/healthz", "Connection: close")
    mine = [request("GET", path, f"X-Request-Id: {name}") for name in ("a", "b")]
    pieces = (plain, plain, mine[0], mine[0], plain, mine[1], plain, last)
    answers = talk(service, *pieces, pause_s=0.01).answers
    ids = [answer.headers.get("x-request-id") for answer in answers]
    assert ids == [None, None, "a", "a", None, "b", None, None]
    assert {answer.headers["cache-status"] for answer in answers[:-1]} == {
        "content; hit; detail=near"
    }


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, "é", "a\tb", "a, b"])
def test_an_id_that_may_do_harm_is_replaced(client: httpx.Client, value: str) -> None:
    answer = client.get("/videos", headers=[(b"X-Request-Id", value.encode())])
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_two_ids_are_replaced_by_one(client: httpx.Client) -> None:
    answer = client.get("/videos", headers=[("X-Request-Id", "a"), ("X-Request-Id", "b")])
    (found,) = answer.headers.get_list("x-request-id")
    assert re.fullmatch("[0-9a-f]{16}", found)


def test_without_an_id_and_without_a_line_in_the_log_there_is_none(client: httpx.Client) -> None:
    for path in ("/home", "/no/such", "/healthz"):
        assert "x-request-id" not in client.get(path).headers
