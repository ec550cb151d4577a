"""Limits on what a client may send, and how slowly: refused before it is kept, and closed."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.each import each
from tests.http.conftest import StartsService
from tests.http.service import RunningService, resident_bytes
from tests.http.wire import (
    BOUND_S,
    Answer,
    everything,
    is_refusal,
    parse,
    request,
    sent_until_blocked,
    talk,
)

LAST = request("GET", "/healthz", "Connection: close")
KIB = 1024


def refused(service: RunningService, *pieces: bytes, statuses: tuple[int, ...]) -> None:
    conversation = talk(service, *pieces, quiet_s=2.0)
    assert conversation.closed
    assert len(conversation.answers) == 1
    assert is_refusal(conversation.answers[0], *statuses)
    assert conversation.answers[0].headers["connection"] == "close"
    assert talk(service, LAST).statuses == [200]


@each("size", [8 * KIB + 1, 10_000, 70_000, 1_000_000])
def test_a_long_target_is_refused(service: RunningService, size: int) -> None:
    path = "/content/genre/" + "x" * (size - 15)
    refused(service, request("GET", path), statuses=(414,))
    query = "/content?videoId=" + "x" * (size - 17)
    refused(service, request("GET", query), statuses=(414,))


def test_a_target_within_the_limit_is_read(service: RunningService) -> None:
    for target in ("/" + "x" * 8_000, "/content?videoId=" + "x" * 8_000):
        conversation = talk(service, request("GET", target, "Connection: close"))
        assert conversation.statuses == [404]


@pytest.mark.parametrize("size", [17 * KIB, 70_000, 8_000_000])
def test_a_large_head_is_refused(service: RunningService, size: int) -> None:
    refused(service, request("GET", "/healthz", "X: " + "x" * size), statuses=(431,))
    refused(service, request("GET", "/healthz", "X" * size + ": x"), statuses=(431, 400))


def test_a_head_that_never_ends_is_refused(service: RunningService) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "
    refused(service, start, *[b"x" * 100_000] * 5, statuses=(431,))


@pytest.mark.parametrize("count", [120, 20_000])
def test_many_headers_are_refused(service: RunningService, count: int) -> None:
    lines = [f"X{number}: y" for number in range(count)]
    refused(service, request("GET", "/healthz", *lines), statuses=(431,))


def test_a_head_within_the_limits_is_read(service: RunningService) -> None:
    lines = [f"X-{number}: {'y' * 100}" for number in range(90)]
    assert talk(service, request("GET", "/healthz", *lines) + LAST).statuses == [200, 200]
    assert (
        talk(service, request("GET", "/healthz", "X: " + "y" * 14_000) + LAST).statuses == [200] * 2
    )


@pytest.mark.parametrize("length", [10_737_418_240, 2**63 - 1, 65_537])
def test_a_large_body_is_refused_when_it_is_announced(service: RunningService, length: int) -> None:
    conversation = talk(service, request("POST", "/content", f"Content-Length: {length}"))
    assert [is_refusal(answer, 413, 400) for answer in conversation.answers] == [True]
    assert conversation.closed


def test_a_large_body_in_chunks_is_refused_before_it_ended(service: RunningService) -> None:
    head = request("POST", "/content", "Transfer-Encoding: chunked")
    chunk = b"%x\r\n%b\r\n" % (60_000, b" " * 60_000)
    refused(service, head, *[chunk] * 4, statuses=(413,))


@pytest.mark.parametrize("end", [b"", b"0\r\n"])
def test_what_surrounds_chunks_is_bounded_too(service: RunningService, end: bytes) -> None:
    """Extensions of a chunk, and trailers, are heads by another name."""
    head = request("POST", "/content", "Transfer-Encoding: chunked")
    extension = b"1;x=" + b"y" * 1_000_000 if not end else end + b"X: " + b"y" * 1_000_000
    conversation = talk(service, head, extension, b"y" * 1_000_000, quiet_s=2.0)
    assert conversation.closed
    for answer in conversation.answers:
        assert is_refusal(answer, 400, 413, 431)


def trickle(service: RunningService, start: bytes) -> tuple[list[Answer], float]:
    """Sends a byte now and then, until it is cut off; the answers and the seconds it took."""
    began = time.monotonic()
    received = b""
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as connection:
        connection.sendall(start)
        connection.settimeout(0.5)
        while True:
            try:
                data = connection.recv(65_536)
            except TimeoutError:
                with suppress(OSError):
                    connection.sendall(b"x")
                continue
            except ConnectionResetError:
                break
            if not data:
                break
            received += data
    return parse(received), time.monotonic() - began


def test_who_sends_too_slowly_is_cut_off(start_service: StartsService) -> None:
    starts = [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /heal",
        b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
        b"POST /content HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n900\r\n",
        LAST.replace(b"Connection: close", b"X: x") + b"GET /",
    ]
    with start_service(ARRIVAL_S="2") as service, ThreadPoolExecutor(len(starts)) as pool:
        for answers, taken_s in pool.map(lambda start: trickle(service, start), starts):
            assert taken_s > 1.5
            late = [answer for answer in answers if answer.status != 200]
            assert [is_refusal(answer, 408) for answer in late] in ([True], [])


def test_who_reads_nothing_is_not_buffered_for(service: RunningService) -> None:
    """Neither for its answers nor, as far as the kernel has room, for its requests."""
    for _ in range(20):  # what is needed once is there
        assert talk(service, request("GET", "/openapi.json") * 20 + LAST).statuses[-1] == 200
    before, stream = resident_bytes(service), request("GET", "/openapi.json") * 800_000
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as connection:
        assert sent_until_blocked(connection, stream) < len(stream)
        assert talk(service, LAST).statuses == [200]
        assert resident_bytes(service) - before < 30_000_000


LARGE = b" " * 10_000_000
CHUNKED = "Transfer-Encoding: chunked"
TOO_MUCH: dict[str, tuple[int, bytes]] = {
    "a head": (431, request("GET", "/healthz", "X: " + "x" * 20_000_000)),
    "a body": (413, request("POST", "/content", body=LARGE)),
    "a body in chunks": (
        413,
        request("POST", "/content", CHUNKED) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE),
    ),
    "a body for a row that is none": (404, request("PATCH", "/content/x", body=LARGE)),
    "a body for a page that is none": (404, request("GET", "/nothing", body=LARGE)),
    "a body for a method that is none": (405, request("PUT", "/content", body=LARGE)),
}


@each("name", TOO_MUCH)
def test_who_sends_everything_before_reading_still_learns_why(
    service: RunningService, name: str
) -> None:
    """Closed with bytes unread, the connection would be reset before the answer is read."""
    status, sent = TOO_MUCH[name]
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as client:
        client.sendall(sent)
        (answer,) = everything(client)
    assert is_refusal(answer, status)
    assert answer.headers["connection"] == "close"
