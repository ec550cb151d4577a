"""SIGTERM: not ready, and every answer asks its client to go; then an orderly end."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from drain import AGAIN_S
from tests.http.service import RunningService, running
from tests.http.wire import everything, one_answer

DRAIN_S = 1.5
BOUND_S = 10.0
ENDLESS_S = "600"  # longer than the time of a test


@pytest.fixture(params=["1", "0"], ids=["lane", "no lane"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningService]:
    with running({"DRAIN_S": str(DRAIN_S), "FAST_LANE": request.param}, tmp_path) as started:
        yield started


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection((service.host, service.port), timeout=BOUND_S)


def tell(service: RunningService) -> None:
    os.kill(service.pid, signal.SIGTERM)


def await_drain(service: RunningService) -> httpx.Response:
    """The first answer of ``/readyz`` that is not 200, on a connection of its own."""
    deadline = time.monotonic() + BOUND_S
    while True:
        answer = httpx.get(f"http://{service.host}:{service.port}/readyz", trust_env=False)
        if answer.status_code != 200:
            return answer
        assert time.monotonic() < deadline


def test_a_drain_answers_everything_and_asks_to_go(
    service: RunningService, held: ExitStack
) -> None:
    draft = {"title": "x", "genres": ["g"], "isMovie": True}
    row_id = service.client.post("/content", json=draft).json()["data"]["id"]
    hit = f"GET /content/{row_id} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
    connections = [held.enter_context(connect(service)) for _ in range(3)]
    for connection in connections:
        for _ in range(2):  # the lane knows the head by heart from the second on
            connection.sendall(hit)
            assert "connection" not in one_answer(connection).headers

    tell(service)
    probe = await_drain(service)
    assert (probe.status_code, probe.json()["data"]["state"]) == (503, "draining")
    assert probe.headers["connection"] == "close"
    for connection in connections[:2]:
        connection.sendall(hit)
        (answer,) = everything(connection)  # and then the end
        assert (answer.status, answer.json()["data"]["id"]) == (200, row_id)
        assert answer.headers["connection"] == "close"
    with connect(service) as late:  # who comes now is served, too
        late.sendall(b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n")
        (answer,) = everything(late)
        assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert everything(connections[2]) == []  # silent to the end
    assert service.wait() == 0
    assert "Traceback" not in service.log()
    said = [line.partition("INFO ")[2] for line in service.log().splitlines()]
    assert said.index(f"drain begins: not ready, and answering for {DRAIN_S} s more") < said.index(
        "drain is over: no new connections from now on"
    )
    assert sum(line.startswith("drain ") for line in said) == 2


def test_a_later_signal_hurries(tmp_path: Path) -> None:
    with running({"DRAIN_S": ENDLESS_S}, tmp_path) as service:
        tell(service)
        await_drain(service)
        time.sleep(AGAIN_S)
        tell(service)
        assert service.wait() == 0


def test_an_interrupt_ends_at_once_and_in_order(tmp_path: Path) -> None:
    with running({"DRAIN_S": ENDLESS_S}, tmp_path) as service:
        os.kill(service.pid, signal.SIGINT)
        assert service.wait() == 0
        assert "Traceback" not in service.log()
