"""The proxy in front of a real Redis, and each of its switches."""

import socket
import time
from collections.abc import Iterator

import pytest

from bench.lab.processes import exchange, free_ports
from bench.lab.proxy import Proxy
from bench.lab.servers import RedisServer

PING, PONG = b"PING\r\n", b"+PONG\r\n"
BOUND_S = 5.0
MANY = 600
"""So many that, if each were delayed, a test would run out of its time."""


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy(redis_server.host, redis_server.port) as started:
        yield started


@pytest.fixture
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    """One that has been used."""
    with socket.create_connection((proxy.host, proxy.port), timeout=BOUND_S) as made:
        assert pinged(made) == PONG
        yield made


def pinged(connection: socket.socket) -> bytes:
    """What comes of it: nothing at its end."""
    try:
        connection.sendall(PING)
        return connection.recv(64)
    except ConnectionError:
        return b""


def test_it_passes_everything_on(proxy: Proxy, connection: socket.socket) -> None:
    value = bytes(range(256)) * 4_000
    connection.sendall(b"*3\r\n$3\r\nSET\r\n$5\r\nproxy\r\n$%d\r\n%b\r\n" % (len(value), value))
    assert connection.recv(64) == b"+OK\r\n"
    connection.sendall(b"GET proxy\r\n")
    whole = b"$%d\r\n%b\r\n" % (len(value), value)
    with connection.makefile("rb") as answers:
        assert answers.read(len(whole)) == whole
    connection.sendall(b"QUIT\r\n")
    assert connection.recv(64) == b"+OK\r\n"  # what was said last arrives before the end
    assert connection.recv(64) == b""


@pytest.mark.parametrize("delays_s", [(0.3, 0.0), (0.0, 0.3), (0.15, 0.15)])
def test_it_delays_each_way(
    proxy: Proxy, connection: socket.socket, delays_s: tuple[float, float]
) -> None:
    proxy.delay(*delays_s)
    began = time.monotonic()
    assert pinged(connection) == PONG
    assert time.monotonic() - began >= 0.3
    connection.sendall(PING * MANY)  # a long way, and not a narrow one
    with connection.makefile("rb") as answers:
        assert answers.read(len(PONG) * MANY) == PONG * MANY
    proxy.open()
    for _ in range(MANY):
        assert pinged(connection) == PONG


def test_a_narrow_line_is_shared_by_all(proxy: Proxy, connection: socket.socket) -> None:
    size = 20_000
    whole = len(f"${size}\r\n") + size + 2
    connection.sendall(b"SET narrow %b\r\n" % (b"x" * size))
    assert connection.recv(64) == b"+OK\r\n"
    proxy.narrow(size / 0.2)
    began = time.monotonic()
    with socket.create_connection((proxy.host, proxy.port), timeout=BOUND_S) as other:
        for each in (connection, other):
            each.sendall(b"GET narrow\r\n")
        for each in (connection, other):
            with each.makefile("rb") as answers:
                assert len(answers.read(whole)) == whole
    assert time.monotonic() - began > 0.35
    proxy.open()
    connection.sendall(b"GET narrow\r\n" * MANY)
    with connection.makefile("rb") as answers:
        assert len(answers.read(whole * MANY)) == whole * MANY


def test_it_stalls_and_forgets_nothing(proxy: Proxy, connection: socket.socket) -> None:
    proxy.stall()
    connection.settimeout(0.2)
    connection.sendall(PING)
    with pytest.raises(TimeoutError):
        connection.recv(64)
    assert exchange(proxy.host, proxy.port, PING, timeout_s=0.2) == b""
    proxy.open()
    connection.settimeout(BOUND_S)
    assert connection.recv(64) == PONG
    assert exchange(proxy.host, proxy.port, PING) == PONG


def test_it_cuts_what_is_open_and_takes_what_comes(proxy: Proxy, connection: socket.socket) -> None:
    proxy.cut()
    assert pinged(connection) == b""
    assert exchange(proxy.host, proxy.port, PING) == PONG


def test_it_refuses_until_it_is_opened(proxy: Proxy, connection: socket.socket) -> None:
    proxy.refuse()
    assert pinged(connection) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((proxy.host, proxy.port), timeout=BOUND_S)
    proxy.open()
    assert exchange(proxy.host, proxy.port, PING) == PONG


def test_nobody_behind_it_is_an_end_at_once() -> None:
    with (
        Proxy("127.0.0.1", *free_ports(1)) as proxy,
        socket.create_connection((proxy.host, proxy.port), timeout=BOUND_S) as connection,
    ):
        assert pinged(connection) == b""
