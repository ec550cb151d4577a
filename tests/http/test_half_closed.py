"""A client that has finished sending (RFC 9112, 9.6) is answered, and then its connection ends."""

import socket
import time

import httpx
import pytest

from tests.each import each
from tests.http.samples import draft, post
from tests.http.service import RunningService
from tests.http.wire import BOUND_S, Answer, is_refusal, parse, request, sample

ROUTES = [
    *("/", "/home", "/videos", "/uuids?limit=1", "/content/genre/{genre}", "/content/{id}"),
    *("/content?videoId={id}", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"),
    *("/docs/page.css", "/nowhere", "/content/x"),
]


def ask(
    service: RunningService, *pieces: bytes, pause_s: float = 0.0, methods: tuple[str, ...] = ()
) -> list[Answer]:
    """Send the pieces and the end; return what comes until the service closes, which it must."""
    received = b""
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as connection:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause_s)
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65_536):
            received += data
    return parse(received, methods)


@pytest.fixture
def row(client: httpx.Client) -> dict[str, str]:
    made = post(client, genres=["Half closed"])
    return {"id": made["id"], "genre": "Half%20closed"}


@each("method", ["GET", "HEAD", "OPTIONS"])
@each("route", ROUTES)
def test_every_route_answers(
    service: RunningService, row: dict[str, str], route: str, method: str
) -> None:
    expected = service.client.request(method, route.format(**row))
    for _ in range(2):
        (answer,) = ask(service, request(method, route.format(**row)), methods=(method,))
        assert answer.status == expected.status_code


def test_a_row_that_no_cache_has_is_answered(service: RunningService) -> None:
    fresh = [post(service.client)["id"] for _ in range(3)]
    for one in fresh:
        (answer,) = ask(service, request("GET", f"/content/{one}"))
        assert answer.json()["data"]["id"] == one


def test_writes_are_answered(service: RunningService) -> None:
    body = httpx.Request("POST", "http://x", json=draft()).content
    (made,) = ask(service, request("POST", "/content", body=body))
    assert made.status == 201
    path = f"/content/{made.json()['data']['id']}"
    (changed,) = ask(service, request("PATCH", path, body=b'{"rating":"PG"}'))
    assert (changed.status, changed.json()["data"]["rating"]) == (200, "PG")
    (gone,) = ask(service, request("DELETE", path))
    assert gone.status == 200


@pytest.mark.parametrize("pause_s", [0.0, 0.02])
def test_pipelined_requests_are_all_answered(
    service: RunningService, row: dict[str, str], pause_s: float
) -> None:
    targets = [f"/content/{row['id']}", "/uuids?limit=1", f"/content/{row['id']}", "/home"]
    pieces = [request("GET", target) for target in targets]
    for wanted in (pieces, [b"".join(pieces)]):
        answers = ask(service, *wanted, pause_s=pause_s)
        assert [answer.status for answer in answers] == [200] * 4
        assert answers[0].body == answers[2].body


def test_half_a_request_is_refused_behind_whole_ones(
    service: RunningService, row: dict[str, str]
) -> None:
    whole = request("GET", f"/content/{row['id']}")
    post = request("POST", "/content", "Content-Length: 9", body=b"{")
    for half in (whole[:-2], whole[:9], b"G", post, post[:-10]):
        for before in (0, 1, 3):
            answers = ask(service, whole * before + half)
            statuses = [answer.status for answer in answers]
            # behind whole ones the connection may just end: nothing else was promised
            assert statuses[:before] == [200] * before, (half, before)
            assert all(is_refusal(answer, 400) for answer in answers[before:])
            assert before or len(answers) == 1


def test_a_connection_without_a_request_just_ends(service: RunningService) -> None:
    assert ask(service, b"") == []
    assert ask(service, b"\r\n") == []


def test_no_connection_stays_open(service: RunningService, row: dict[str, str]) -> None:
    """The client reads all, but never closes its descriptor."""
    connections = []
    for _ in range(20):
        connection = socket.create_connection((service.host, service.port), timeout=BOUND_S)
        connections.append(connection)
        connection.sendall(request("GET", "/uuids?limit=1"))
        connection.shutdown(socket.SHUT_WR)
    for connection in connections:
        while connection.recv(65_536):
            pass
    deadline = time.monotonic() + BOUND_S
    while sample(service, "content_connections") > 1:  # the one that asks
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for connection in connections:
        connection.close()
