"""deploy/haproxy.cfg in a real HAProxy: its own answers, and the replicas that it takes out."""

import http.client
import re
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest

from bench.lab.balancer import SHIPPED, Balancer, Stats
from bench.lab.processes import free_ports
from bench.lab.spawn import ServerError
from bench.lab.targets import installed

BOUND_S = 10.0
SOON = {"timeout server 8s": "timeout server 500ms", "timeout check 3s": "timeout check 500ms"}
READY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
DRAINING = b'{"status":"failed","message":"draining","data":{"state":"draining"}}'
DRAINS = b"HTTP/1.1 503 Away\r\nContent-Length: %d\r\n\r\n%b" % (len(DRAINING), DRAINING)


@pytest.fixture(autouse=True)
def haproxy() -> None:
    try:
        installed("haproxy")
    except ServerError as missing:
        pytest.skip(str(missing))


class Replica(socketserver.BaseRequestHandler):
    """Answers ``/readyz`` with ``server.readiness``; every other path by its own name."""

    def handle(self) -> None:
        head = self.request.recv(65_536)
        if b" /readyz " in head:
            time.sleep(self.server.check_s)  # type: ignore[attr-defined]
            self.request.sendall(self.server.readiness)  # type: ignore[attr-defined]
        elif b" /hangs " in head:
            self.request.recv(1)
        elif b" /ends " not in head:
            self.request.sendall(READY)


@contextmanager
def replica() -> Iterator[Any]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        readiness = READY
        check_s = 0.0

    with Server(("127.0.0.1", 0), Replica) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def balanced() -> Iterator[tuple[Any, Any, Balancer]]:
    with (
        replica() as one,
        replica() as two,
        Balancer([one.server_address, two.server_address]) as balancer,
    ):
        yield one, two, balancer


def ask(balancer: Balancer, path: str, method: str = "GET") -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection(balancer.host, balancer.port, timeout=BOUND_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def comes(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BOUND_S
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


@pytest.mark.parametrize(
    ("path", "status", "retries"),
    [
        ("/metrics", 404, None),
        ("/readyz", 404, None),
        ("/ends", 502, "1"),
        ("/hangs", 504, "1"),
    ],
)
def test_the_balancers_own_answers_have_the_envelope(
    path: str, status: int, retries: str | None
) -> None:
    with replica() as one, Balancer([one.server_address], SOON) as balancer:
        assert comes(lambda: ask(balancer, "/")[0] == 200)
        told, headers, body = ask(balancer, path)
        assert (told, headers["content-type"]) == (status, "application/json")
        assert orjson.loads(body).keys() == {"status", "message"}
        assert orjson.loads(body)["status"] == "failed"
        assert (headers["retry-after"], headers["cache-control"]) == (retries, "no-store")
        assert ask(balancer, path, "HEAD")[2] == b""


def test_a_balancer_without_replicas_says_when_to_come_again() -> None:
    with Balancer([("127.0.0.1", free_ports(1)[0])]) as balancer:
        told, headers, body = ask(balancer, "/home")
        assert (told, headers["content-type"], headers["retry-after"]) == (
            503,
            "application/json",
            "1",
        )
        assert orjson.loads(body)["status"] == "failed"


def test_every_status_of_the_balancer_is_written_in_the_envelope() -> None:
    pattern = r"http-error status (\d+) content-type application/json string '([^']*)'(.*)"
    written = re.findall(pattern, SHIPPED.read_text())
    assert {status for status, _, _ in written} >= {"400", "408", "500", "502", "503", "504"}
    for status, body, headers in written:
        assert orjson.loads(body)["status"] == "failed"
        passes = status == "408" or (status >= "500" and status != "501")
        assert ("hdr Retry-After 1" in headers) == passes


def test_a_replica_that_drains_gets_no_request_from_its_first_word_on() -> None:
    with balanced() as (one, _, balancer):
        one.readiness = DRAINS
        assert comes(lambda: balancer.stats()["web1"].status == "NOLB")
        assert balancer.stats()["web1"].checks_down == 0
        assert balancer.stats()["web2"].status == "UP"
        one.readiness = READY
        assert comes(lambda: balancer.stats()["web1"].status == "UP")


def test_a_replica_that_is_dead_goes_out_and_fails_nothing() -> None:
    with balanced() as (one, _, balancer):
        one.shutdown()
        one.server_close()
        answers = []

        def is_out() -> bool:
            answers.append(ask(balancer, "/")[0])
            return balancer.stats()["web1"].status == "DOWN"

        assert comes(is_out)
        assert set(answers) == {200}


def test_replicas_that_are_slow_stay_in() -> None:
    """Three that take longer than a check's interval, as all do under overload."""
    with balanced() as (one, two, balancer):
        one.check_s = two.check_s = 1.5
        time.sleep(4)
        usual = Stats("UP", 0, 0)
        assert dict(balancer.stats()) == dict.fromkeys(("web1", "web2", "BACKEND"), usual)
