"""The simulated Redis answers random commands as a real one does, pushes included."""

import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from bench.lab.servers import RedisServer
from cache.redis import scripts
from tests.simulation.redis_server import Peer, Redis
from tests.simulation.simulator import Simulator

PREFIX = "conf:v:"
KEYS = [f"conf:{kind}:{name}" for kind in "vli" for name in ("a", "b")]
ROUNDS, COMMANDS = 20, 150
_MORE = object()


class Wire:
    """One client of the simulated server, without a network between."""

    is_deaf = False

    def __init__(self, server: Redis) -> None:
        self._server = server
        self._reader = hiredis.Reader(notEnoughData=_MORE)
        self._peer = Peer(self)  # type: ignore[arg-type]  # all of a link that the server needs
        server.peers.append(self._peer)

    def to_client(self, data: bytes) -> None:
        self._reader.feed(data)

    def ask(self, *command: Any) -> Any:
        """The reply, and the keys of the pushes behind it."""
        self._peer.reader.feed(hiredis.pack_command(command))
        self._server._waiting.append(self._peer)
        self._server.turn()
        return _reply(iter(self._reader.gets, _MORE))


class Socket:
    """One client of a real server."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.create_connection((server.host, server.port), timeout=5)
        self._reader = hiredis.Reader(notEnoughData=_MORE)

    def ask(self, *command: Any) -> Any:
        """The reply, and the keys of the pushes before the reply to the PING behind it."""
        self._socket.sendall(hiredis.pack_command(command))
        first = [*self._until(lambda each: not _is_push(each))]
        self._socket.sendall(hiredis.pack_command(("PING",)))
        rest = [*self._until(lambda each: each == b"PONG")]
        return _reply(iter((*first, *rest[:-1])))

    def _until(self, is_last: Any) -> Iterator[Any]:
        while True:
            reply = self._reader.gets()
            if reply is _MORE:
                self._reader.feed(self._socket.recv(65_536))
                continue
            yield reply
            if is_last(reply):
                return

    def close(self) -> None:
        self._socket.close()


def _is_push(reply: Any) -> bool:
    return type(reply) is hiredis.PushNotification


def _reply(replies: Iterator[Any]) -> tuple[Any, list[bytes]]:
    """The one reply, an error by its code alone, and all keys that were pushed."""
    found, pushed = None, set[bytes]()
    for each in replies:
        if _is_push(each):
            pushed.update(each[1] or [b"all"])
        else:
            found = str(each).split()[0] if isinstance(each, Exception) else each
    return found, sorted(pushed)


def commands(draw: random.Random) -> Iterator[tuple[Any, ...]]:
    """Commands as the service and an administrator send them, wrong types included."""
    for _ in range(COMMANDS):
        key, token = draw.choice(KEYS), f"t{draw.randrange(3)}"
        life = draw.choice((1_000_000, 2_000_000))
        yield draw.choice(
            (
                ("SET", key, token),
                ("SET", key, token, "PX", life),
                ("SET", key, token, "NX", "PX", life),
                ("SET", key, token, "PX", 0),
                ("SET", key, token, "XY"),
                ("GET", key),
                ("MGET", *KEYS),
                ("DEL", *draw.sample(KEYS, 2)),
                ("EXISTS", *KEYS),
                ("PEXPIRE", key, draw.choice((life, 0, "x"))),
                ("ZADD", key, draw.choice((1, 2.5, "x")), token),
                ("ZREM", key, token),
                ("ZCARD", key),
                ("ZSCORE", key.replace(":i:", ":v:"), token),
                ("ZCOUNT", key, draw.choice(("(1", "1", "-inf", "x")), "+inf"),
                ("ZREMRANGEBYSCORE", key, "-inf", draw.choice(("1", "(2.5", "x"))),
                script(draw, scripts.LEASE, 1, token, life, draw.randrange(2)),
                script(draw, scripts.FILL, 1, token, "packed", life),
                script(draw, scripts.RELEASE, 1, token),
                script(draw, scripts.INTEND, draw.randint(1, 2), token, life, ""),
                script(draw, scripts.INTEND, 1, token, life, "0" * 40),
                script(draw, scripts.SETTLE, draw.randint(1, 2), token, ""),
                ("EVAL", "return {1, 'two', false, {ok = 'OK'}, 3.7}", 0),
                ("EVAL", "return redis.call('GET', KEYS[1])", 1, key),
                ("SCRIPT", "FLUSH"),
                ("FLUSHALL",) if draw.random() < 0.2 else ("GET", key),
            )
        )


def script(draw: random.Random, script: scripts.Script, count: int, *args: Any) -> tuple[Any, ...]:
    """A call of one of the product's scripts; by its digest it may be unknown."""
    names = draw.sample(("a", "b"), count)
    keys = [f"conf:{kind}:{name}" for name in names for kind in "vli"]
    keys += ["marker"] if script in (scripts.INTEND, scripts.SETTLE) else []
    by_text = draw.random() < 0.7
    how = ("EVAL", script.lua) if by_text else ("EVALSHA", script.sha)
    return (*how, len(keys), *keys, *args)


@pytest.fixture
def real(redis_server: RedisServer) -> Iterator[Socket]:
    client = Socket(redis_server)
    yield client
    client.ask("FLUSHALL")
    client.close()


def greet(client: Wire | Socket) -> None:
    client.ask("HELLO", 3)
    client.ask("FLUSHALL")
    client.ask("SCRIPT", "FLUSH")
    client.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", PREFIX)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_random_commands_are_answered_as_by_a_real_server(real: Socket, seed: int) -> None:
    simulated = Wire(Redis(Simulator(seed), "redis"))
    greet(simulated)
    greet(real)
    for number, command in enumerate(commands(random.Random(seed))):
        expected = real.ask(*command)
        assert simulated.ask(*command) == expected, f"{number}: {command}"


def test_what_expires_is_gone_and_pushed(real: Socket) -> None:
    server = Redis(Simulator(0), "redis")
    simulated = Wire(server)
    for client in (simulated, real):
        greet(client)
        client.ask("SET", "conf:v:a", "x", "PX", 30)
        assert client.ask("GET", "conf:v:a")[0] == b"x"
    server.simulator.now_s += 0.2
    time.sleep(0.2)
    for client in (simulated, real):
        # a real server may have pushed it already, while nobody asked
        assert client.ask("GET", "conf:v:a") == (None, [b"conf:v:a"])
        assert client.ask("PTTL", "conf:v:a") == (-2, [])
