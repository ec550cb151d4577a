"""The container's probe: healthy when and only when the service serves, at the address in force."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from config import Config
from deploy import healthcheck

ROOT = Path(__file__).resolve().parents[2]


def at_once(connection: socket.socket, line: bytes) -> None:
    connection.sendall(line + b"\r\nContent-Length: 0\r\n\r\n")


def byte_by_byte(connection: socket.socket, line: bytes) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in line + b"\r\n":
        connection.sendall(bytes([byte]))
        time.sleep(0.002)


def raw(connection: socket.socket, line: bytes) -> None:
    connection.sendall(line)


@contextmanager
def answering(
    line: bytes,
    host: str = "127.0.0.1",
    family: int = socket.AF_INET,
    send: Callable[[socket.socket, bytes], None] = at_once,
) -> Iterator[tuple[int, list[bytes]]]:
    """A server of one answer; its port, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server((host, 0), family=family) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(4096))
                send(connection, line)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(10)


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(ROOT / "deploy" / "healthcheck.py"), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True)


def test_200_is_healthy_and_what_is_asked_has_a_host_and_no_credentials() -> None:
    with answering(b"HTTP/1.1 200 OK") as (port, asked):
        assert run(PORT=str(port), HOST="0.0.0.0", WRITE_TOKEN="secret").returncode == 0
    assert asked[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: ")
    assert b"secret" not in asked[0]


def test_503_is_unhealthy_and_says_so() -> None:
    with answering(b"HTTP/1.1 503 Service Unavailable") as (port, asked):
        done = run("/readyz", PORT=str(port))
    assert done.returncode == 1
    assert "503" in done.stderr
    assert asked[0].startswith(b"GET /readyz ")


def test_an_answer_that_comes_byte_by_byte_is_read_to_the_end_of_its_line() -> None:
    with answering(b"HTTP/1.1 200 OK", send=byte_by_byte) as (port, _):
        assert healthcheck.why_not({"PORT": str(port)}, "/") == ""
    with answering(b"HTTP/1.1 503 Service Unavailable", send=byte_by_byte) as (port, _):
        assert "503 Service Unavailable" in healthcheck.why_not({"PORT": str(port)}, "/")


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n", b"HTTP/1.1 200 "])
def test_a_connection_that_ends_without_a_status_line_is_unhealthy(sent: bytes) -> None:
    with answering(sent, send=raw) as (port, _):
        assert healthcheck.why_not({"PORT": str(port)}, "/")


def test_nobody_there_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert run(PORT=str(port)).returncode == 1


def test_silence_is_unhealthy_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(healthcheck, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        assert "timed out" in healthcheck.why_not({"PORT": port}, "/healthz")


def test_the_port_may_be_in_a_file(tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 200 OK") as (port, _):
        (tmp_path / "port").write_text(f"{port}\n")
        assert healthcheck.why_not({"PORT_FILE": str(tmp_path / "port")}, "/") == ""


@pytest.mark.parametrize("environ", [{"PORT": "http"}, {"PORT_FILE": "/not/there"}])
def test_a_port_that_is_none_is_unhealthy(environ: dict[str, str]) -> None:
    assert "Error" in healthcheck.why_not(environ, "/")


def test_the_defaults_are_those_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def refuse(place: tuple[str, int], timeout: float) -> NoReturn:
        asked.append(place)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert healthcheck.why_not({}, "/")
    assert asked == [(Config().host, Config().port)]


@pytest.mark.parametrize("host", ["::", "::1", "[::1]"])
def test_a_service_on_ipv6_alone_is_found(host: str) -> None:
    try:
        serving = answering(b"HTTP/1.1 200 OK", "::1", socket.AF_INET6)
        with serving as (port, _):
            assert healthcheck.why_not({"HOST": host, "PORT": str(port)}, "/") == ""
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
