"""The fast lane on a connection: order, slow readers, writes beside it, counts, ends."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.http.samples import data, post
from tests.http.service import RunningService, resident_bytes, running
from tests.http.wire import BOUND_S, Conversation, parse, request, sent_until_blocked, talk
from tests.wire.twins import counted

NEAR = {"NEAR_TTL_S": "600"}
LAST = request("GET", "/healthz", "Connection: close")


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running(NEAR, tmp_path_factory.mktemp("lane")) as service:
        yield service


@pytest.fixture
def row_id(lane: RunningService) -> str:
    """Of a row that is near."""
    made = str(post(lane.client)["id"])
    lane.client.get(f"/content/{made}")
    return made


def plain(row_id: str) -> bytes:
    return request("GET", f"/content/{row_id}")


def exchange(service: RunningService, stream: bytes) -> Conversation:
    """Sends all at once and reads until the service closes."""
    return talk(service, stream, quiet_s=BOUND_S)


@pytest.mark.parametrize("count", [2, 50, 1_000])
def test_requests_in_one_segment_are_answered_in_order(
    lane: RunningService, row_id: str, count: int
) -> None:
    """Hits, misses, conditions and writes in turn; each is known by what it says."""
    other, unread = str(post(lane.client)["id"]), [post(lane.client)["id"] for _ in range(20)]
    requests, expected = [], []
    for number in range(count):
        kind = number % 5
        if kind == 2:
            body = b'{"title": "title %d"}' % number
            requests.append(request("PATCH", f"/content/{other}", body=body))
            expected.append((200, f"title {number}"))
        elif kind == 3:
            requests.append(plain(unread[number // 5 % len(unread)]))
            expected.append((200, "A title"))
        elif kind == 4:
            requests.append(request("GET", f"/nowhere/{number}"))
            expected.append((404, ""))
        else:
            requests.append(plain(row_id if kind == 0 else other))
            patched = [text for status, text in expected if text.startswith("title")]
            expected.append((200, "A title" if kind == 0 else (patched or ["A title"])[-1]))
    said = exchange(lane, b"".join(requests) + LAST)
    found = [
        (each.status, each.json()["data"]["title"] if each.status == 200 else "")
        for each in said.answers[:-1]
    ]
    assert found == expected
    assert said.closed


@pytest.mark.parametrize("lines", [(), ("Cookie: a=b",)])
def test_a_request_may_be_cut_anywhere(
    lane: RunningService, row_id: str, lines: tuple[str, ...]
) -> None:
    whole = request("GET", f"/content/{row_id}", *lines)
    pieces = [whole, whole]
    for place in range(1, len(whole)):
        pieces += [whole[:place], whole[place:]]
    said = talk(lane, *pieces, LAST, pause_s=0.002, quiet_s=2.0)
    assert said.statuses == [200] * (len(whole) + 2)
    assert len({answer.body for answer in said.answers[:-1]}) == 1


def test_who_reads_nothing_of_many_hits_costs_little_and_hinders_nobody(
    lane: RunningService, row_id: str
) -> None:
    exchange(lane, plain(row_id) * 100 + LAST)
    before = resident_bytes(lane)
    with ExitStack() as silent:
        for _ in range(3):
            address = (lane.host, lane.port)
            connection = silent.enter_context(socket.create_connection(address, timeout=BOUND_S))
            assert sent_until_blocked(connection, plain(row_id) * 150_000) < 8_000_000
        assert lane.client.get(f"/content/{row_id}").status_code == 200
        # some 8 MB each: requests that had been read when it was noticed
        assert resident_bytes(lane) - before < 40_000_000


def test_who_reads_late_gets_every_answer(lane: RunningService, row_id: str) -> None:
    with socket.create_connection((lane.host, lane.port), timeout=BOUND_S) as connection:
        received, stream = b"", plain(row_id) * 2_000 + LAST
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
        connection.settimeout(1.0)
        sent = connection.send(stream)
        time.sleep(0.3)
        connection.setblocking(False)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if sent < len(stream):
                    sent += connection.send(stream[sent:])
            except BlockingIOError:
                pass
            try:
                if not (piece := connection.recv(65_536)):
                    break
                received += piece
            except BlockingIOError:
                time.sleep(0.001)
    assert [answer.status for answer in parse(received)] == [200] * 2_001


@pytest.mark.parametrize("method", ["DELETE", "PATCH"])
def test_a_write_to_a_key_that_is_near_is_a_write(lane: RunningService, method: str) -> None:
    made = str(post(lane.client)["id"])
    body = b'{"title": "two"}' if method == "PATCH" else b""
    write = request(method, f"/content/{made}", body=body)
    said = talk(lane, *[plain(made)] * 3, write, plain(made), plain(made), LAST)
    after = [200, 200] if method == "PATCH" else [404, 404]
    assert said.statuses == [200, 200, 200, 200, *after, 200]
    if method == "PATCH":
        assert [each.json()["data"]["title"] for each in said.answers[3:6]] == ["two"] * 3


def test_a_request_that_is_half_there_sees_a_write_of_another(
    lane: RunningService, row_id: str
) -> None:
    whole = plain(row_id)
    for cut in (5, 30, len(whole) - 1):
        with socket.create_connection((lane.host, lane.port), timeout=BOUND_S) as connection:
            for piece in (whole, whole[:cut]):
                connection.sendall(piece)
                time.sleep(0.05)
            title = f"cut at {cut}"
            data(lane.client.patch(f"/content/{row_id}", json={"title": title}))
            connection.sendall(whole[cut:] + LAST)
            received = b""
            while piece := connection.recv(65_536):
                received += piece
        assert parse(received)[1].json()["data"]["title"] == title


def test_each_request_is_counted_once_by_whichever_way_it_went(lane: RunningService) -> None:
    made = post(lane.client, genres=["Counted"])
    key, genre = f"/content/{made['id']}", "/content/genre/Counted"
    tag = lane.client.get(key).headers["etag"]
    lane.client.get(genre)
    before = counted(lane.client)
    condition = f"If-None-Match: {tag}"
    pieces = [
        request("GET", key) * 3,
        *[request("GET", key)] * 7,  # by heart
        *[request("GET", key, condition)] * 4,
        *[request("HEAD", key)] * 5,
        *[request("HEAD", key, condition)] * 2,
        *[request("GET", genre)] * 6,
        *[request("GET", f"/content?videoId={made['id']}")] * 3,
        *[request("GET", key.upper().replace("CONTENT", "content"), condition)] * 2,
        *[request("GET", key, "Connection: keep-alive, x")] * 2,
        request("GET", "/content/00000000-0000-4000-8000-000000000000"),
    ]
    methods = ["GET"] * 14 + ["HEAD"] * 7 + ["GET"] * 16
    talk(lane, *pieces, LAST, pause_s=0.005, quiet_s=2.0, methods=methods)
    row, listed = "/content/{id}", "/content/genre/{genre:path}"
    assert counted(lane.client) - before == {
        (row, "GET", "ok", "near"): 12,
        (row, "GET", "not_modified", "near"): 6,
        (row, "HEAD", "ok", "near"): 5,
        (row, "HEAD", "not_modified", "near"): 2,
        (listed, "GET", "ok", "near"): 6,
        ("/content", "GET", "ok", "near"): 3,
        (row, "GET", "client_error", ""): 1,
        ("/healthz", "GET", "ok", ""): 1,
        ("/metrics", "GET", "ok", ""): 1,
    }


def test_the_access_log_has_every_request(tmp_path: Path) -> None:
    with running({"ACCESS_LOG": "1", "FAST_LANE": "1"}, tmp_path) as service:
        made = str(post(service.client)["id"])
        talk(service, *[plain(made)] * 10, LAST, pause_s=0.01)
        assert service.log().count(f" INFO GET /content/{made} 200 ms=") == 10
