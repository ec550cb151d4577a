"""Keys are named after one reign of one master, and nobody writes under the names of another."""

import asyncio
import contextlib
import re
import time
from collections.abc import Iterator

import pytest
from hiredis import ReplyError

from bench.lab.servers import RedisServer
from cache.redis import handshake
from cache.redis.address import Address
from cache.redis.connection import Connection
from cache.redis.rows import RedisRows
from cache.redis.scripts import INTEND, SETTLE, Script
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import FakeRedis, Recorder, command, entry, filled, until, url_of

OTHER = "0" * 40
"""Also what INFO tells for the one before when there was none."""


def replication_id(redis: RedisServer) -> str:
    found = re.search(r"master_replid:(\w+)", command(redis, "INFO", "replication"))
    assert found
    return found[1]


@pytest.mark.parametrize(("script", "args"), [(INTEND, ("writer", 10_000)), (SETTLE, ("writer",))])
async def test_a_script_of_a_write_does_nothing_in_another_reign(
    redis: RedisServer, script: Script, args: tuple[str | int, ...]
) -> None:
    connection = Connection(lambda push: None, lambda why: None)
    await Address.from_url(url_of(redis)).connect(connection)

    async def run(replid: str) -> object:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        call = ("EVAL", script.lua, 4, "v", "l", "i", "m", *args, replid)
        assert connection.send(call, future.set_result)
        return await future

    command(redis, "SET", "v", "row")
    refused = await run(OTHER)
    assert isinstance(refused, ReplyError)
    assert str(refused).startswith("NEWREIGN ")
    assert command(redis, "KEYS", "*") == ["v"]
    for known in (replication_id(redis), ""):
        command(redis, "SET", "v", "row")
        assert await run(known) == 1
        assert command(redis, "EXISTS", "v") == 0
        assert command(redis, "EXISTS", "m") == 1
    connection.abort("done")


async def test_the_heartbeat_notices_a_new_reign(open_rows: OpenRows, redis: RedisServer) -> None:
    """As a promotion does, the first replica gives the master another replication id."""
    told = Recorder()
    rows = await open_rows(redis, near=told)
    await filled(rows, "k")
    before = rows._link.session.run
    with RedisServer(args=["--replicaof", redis.host, str(redis.port)]):
        await until(lambda: rows._link.session.run not in (before, ""))
    assert told.of("state") == [False, True, False, True]
    assert rows._link.session.replication_id == replication_id(redis)
    assert await rows.get("k") is None


@contextlib.contextmanager
def another_reign(redis: RedisServer) -> Iterator[None]:
    """Give ``redis`` another replication ID, as a first replica does. Nobody fails over."""
    before = replication_id(redis)
    with RedisServer(args=["--replicaof", redis.host, str(redis.port)]):
        deadline = time.monotonic() + 10.0
        while replication_id(redis) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield


@pytest.fixture
def lone() -> Iterator[RedisServer]:
    """A Redis that never had a replica, so that its first one changes the replication ID."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeat comes to the aid of a connection."""
    monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", 3_600.0)


@pytest.mark.usefixtures("deaf")
async def test_an_old_connection_reads_no_row_that_a_write_of_a_new_reign_replaced(
    open_rows: OpenRows, lone: RedisServer
) -> None:
    reader, writer = await open_rows(lone), await open_rows(lone)
    await filled(reader, "k", entry("old"))
    old = reader._link.session.run
    with another_reign(lone):
        assert (await reader.get("k")) is not None
        intent = await writer.intend(["k"])
        assert writer._link.session.run != old  # its first try was NEWREIGN
        assert await writer.settle(["k"], intent)
        assert await reader.get("k") is None
        await until(lambda: reader._link.session.run == writer._link.session.run)


@pytest.mark.usefixtures("deaf")
async def test_a_settlement_in_a_new_reign_ends_old_connections_too(
    open_rows: OpenRows, lone: RedisServer
) -> None:
    reader, writer = await open_rows(lone), await open_rows(lone)
    intent = await writer.intend(["k"])
    with another_reign(lone):
        command(lone, "DEL", f"{reader._link.session.prefix}i:k")  # evicted
        await filled(reader, "k", entry("old"))
        assert await writer.settle(["k"], intent)
        assert await reader.get("k") is None


async def test_a_reign_that_began_within_the_handshake_is_noticed(
    open_rows: OpenRows, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write of it may have set its marker before this connection tracked markers."""
    monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", 3_600.0)
    there = [replication_id(redis)]

    def before(server: object, replication: object) -> tuple[str, str]:
        monkeypatch.undo()
        monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", 3_600.0)
        return "before", OTHER

    monkeypatch.setattr(handshake, "run_of", before)
    rows = await open_rows(redis)
    await until(lambda: rows._link.session.replication_id == there[0])


async def test_a_write_marks_its_reign_once_and_again_when_the_mark_is_gone(
    rows: RedisRows, redis: RedisServer
) -> None:
    connects = rows._link.attempts
    for _ in range(2):
        for _ in range(3):
            assert await rows.settle(["k"], await rows.intend(["k"]))
        (marker,) = command(redis, "KEYS", "content:*:reign:*")
        assert marker.endswith(rows._link.session.run)
        assert command(redis, "PTTL", marker) == -1  # its end would be told like another reign
        command(redis, "DEL", marker)
        assert await rows.get("k") is None
    assert (rows.state, rows._link.attempts) == ("up", connects)


async def test_a_refused_script_ends_the_connection(open_rows: OpenRows) -> None:
    async with FakeRedis() as server:
        rows = await open_rows(server.url)
        server.answers["EVAL"] = b"-NEWREIGN the replication id is another one now\r\n"
        assert await rows.lease("k") is None
        await until(lambda: server.connections == 2)
