"""What the tests of Redis share: an administrator's connection, a server that lies, a recorder."""

import asyncio
import contextlib
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import hiredis
import pytest

from bench.lab.proxy import Proxy
from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.connection import Lost
from cache.redis.link import Identity
from cache.redis.rows import RedisRows
from cache.redis.scripts import Lease

BOUND_S = 10.0
OK = b"+OK\r\n"


def entry(text: str = "row") -> Entry:
    return Entry(text.encode(), b'"tag"', 1.0)


def named(identity: str) -> Identity:
    """The identity of a store that does not change."""

    async def name() -> str:
        return identity

    return name


def url_of(server: RedisServer | Proxy, credentials: str = "") -> str:
    return f"redis://{credentials}{server.host}:{server.port}"


async def until(holds: Callable[[], object], within_s: float = BOUND_S) -> None:
    """Waits for something that nobody announces; fails when it does not come."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.005)


async def reconnected(rows: RedisRows, connects: int) -> None:
    """Waits until ``rows`` is up on a connection later than its ``connects``-th."""
    await until(lambda: rows.state == "up" and rows._link.attempts > connects)


async def restart(rows: RedisRows, redis: RedisServer) -> None:
    connects = rows._link.attempts
    await asyncio.to_thread(redis.restart)
    await reconnected(rows, connects)


async def granted(rows: RedisRows, key: str) -> Lease:
    lease = await rows.lease(key)
    assert isinstance(lease, Lease)
    assert lease.granted
    return lease


async def fill(rows: RedisRows, key: str, lease: Lease, value: Entry, keep_s: float) -> bool:
    """Fill, and return whether Redis has the value then. A ``get`` would bring it near."""
    rows.fill(key, lease, value, keep_s)
    connection = rows._link.session.connection
    if connection is None:
        return False
    name = f"{rows._link.session.prefix}v:{key}"
    try:
        await connection.ask("GET", name)  # a script that was not known is sent again behind it
        found = await connection.ask("GET", name)
    except Lost:
        return False
    return isinstance(found, bytes) and Entry.unpack(found).body == value.body


async def filled(rows: RedisRows, key: str, value: Entry | None = None) -> None:
    assert await fill(rows, key, await granted(rows, key), value or entry(), 60.0)


def command(server: RedisServer, *words: str | int) -> Any:
    """One command by an administrator on a connection of its own; raises what Redis answers."""
    reader = hiredis.Reader(notEnoughData=Ellipsis, encoding="utf-8")
    with socket.create_connection((server.host, server.port), timeout=5) as connection:
        connection.sendall(hiredis.pack_command(words))  # type: ignore[arg-type]  # stub: of one
        while (reply := reader.gets()) is Ellipsis:
            reader.feed(connection.recv(65_536))
    if isinstance(reply, Exception):
        raise reply
    return reply


def calls(server: RedisServer) -> Counter[str]:
    """How often each command has run since CONFIG RESETSTAT."""
    found: Counter[str] = Counter()
    for line in command(server, "INFO", "commandstats").splitlines():
        if line.startswith("cmdstat_"):
            name, _, stats = line.removeprefix("cmdstat_").partition(":calls=")
            found[name] = int(stats.partition(",")[0])
    return found


def changes(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The words up and down, as logged in this test."""
    starts = ("Redis is up", "Redis is down")
    return [text.split()[2].strip(":") for text in caplog.messages if text.startswith(starts)]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


class Recorder(Near):
    """What ``RedisRows`` told the near cache, in order."""

    def __init__(self) -> None:
        super().__init__(1, 1.0)  # with 0 nothing is told
        self.events: list[tuple[str, Any]] = []

    def put(self, key: str, entry: Entry) -> bool:
        self.events.append(("value", key))
        return False

    def remove(self, key: str) -> None:
        self.events.append(("invalidate", key))

    def clear(self) -> None:
        self.events.append(("invalidate", None))

    def enable(self) -> None:
        self.events.append(("state", True))

    def disable(self) -> None:
        self.events.append(("state", False))

    def of(self, kind: str) -> list[Any]:
        return [what for each, what in self.events if each == kind]


class FakeRedis:
    """A server that passes the handshake and answers the rest as told: ``answers`` by command
    name, ``error`` (when set) to everything that touches keys."""

    def __init__(self) -> None:
        self.error = ""
        self.answers: dict[str, bytes | Callable[[list[bytes]], bytes]] = {}
        self.commands: list[str] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await until(lambda: not self._writers)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        parser = hiredis.Reader(notEnoughData=Ellipsis)
        try:
            while data := await reader.read(65_536):
                parser.feed(data)
                while (words := parser.gets()) is not Ellipsis:
                    writer.write(self._answer(words))
        except ConnectionError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            self._writers.discard(writer)

    def _answer(self, words: list[bytes]) -> bytes:
        name = words[0].decode()
        self.commands.append(name)
        if name in self.answers:
            answer = self.answers[name]
            return answer if isinstance(answer, bytes) else answer(words)
        if name == "HELLO":
            return b"%1\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
        if name == "INFO":
            return b"$31\r\nrun_id:0123456789abcdef01234567\r\n"
        if name == "CONFIG":
            return b"%0\r\n"
        if name == "CLIENT":
            return OK
        if self.error:
            return f"-{self.error}\r\n".encode()
        if name == "MGET":
            return b"*%d\r\n" % (len(words) - 1) + b"_\r\n" * (len(words) - 1)
        return b"-ERR not in this world\r\n"
