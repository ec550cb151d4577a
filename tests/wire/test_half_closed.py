"""A client that has finished sending, where the lane answers or asks Redis: as the app would."""

import socket

import pytest

from tests.http.service import RunningService
from tests.http.wire import BOUND_S, Answer, one_answer, parse, request
from tests.wire.conftest import Warm


def ask_and_end(service: RunningService, plain: bytes, *pieces: bytes) -> list[Answer]:
    """After a plain request, so that the lane knows its head, send the pieces and the end."""
    received = b""
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            connection.sendall(plain)
            assert one_answer(connection).status == 200
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65_536):
            received += data
    return parse(received)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("in_one", [True, False])
def test_the_lane_answers_all_then_closes(warm: Warm, count: int, in_one: bool) -> None:
    plain = request("GET", warm.key)
    pieces = [plain * count] if in_one else [plain] * count
    for service in warm.twins:
        answers = ask_and_end(service, plain, *pieces)
        assert [answer.status for answer in answers] == [200] * count
        assert len({answer.body for answer in answers}) == 1


@pytest.mark.parametrize("half", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_half_a_request_behind_a_hit_is_refused(warm: Warm, half: bytes) -> None:
    plain = request("GET", warm.key)
    for service in warm.twins:
        for pieces in ((plain, half), (plain + half,)):
            statuses = [answer.status for answer in ask_and_end(service, plain, *pieces)]
            assert statuses in ([200, 400], [200])  # it may be in time to be answered first


def test_a_row_that_is_nowhere_is_answered(warm: Warm) -> None:
    plain = request("GET", warm.key)
    absent = request("GET", "/content/00000000-0000-4000-8000-00000000000a")
    for service in warm.twins:
        (answer,) = ask_and_end(service, plain, absent)
        assert answer.status == 404
