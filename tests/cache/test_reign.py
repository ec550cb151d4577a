"""Keys are named after one reign of one master, and nobody writes under the names of another."""

from __future__ import annotations

import asyncio
import re

import pytest
from hiredis import ReplyError

from bench.servers import RedisServer
from cache.address import Address
from cache.connection import Connection
from cache.scripts import INTEND, SETTLE, Script
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import FakeRedis, Recorder, command, filled, until, url_of

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
    await Address.from_url(url_of(redis)).connect(lambda: connection)

    async def run(replid: str) -> object:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        assert script.send(connection, ["v", "l", "i"], (*args, replid), future.set_result)
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
    connection.abort("done")


async def test_the_heartbeat_notices_a_new_reign(open_rows: OpenRows, redis: RedisServer) -> None:
    """As a promotion does, the first replica gives the master another replication id."""
    told = Recorder()
    rows = await open_rows(redis, **told.callbacks())
    await filled(rows, "k")
    before = rows._session.run
    with RedisServer(args=["--replicaof", redis.host, str(redis.port)]):
        await until(lambda: rows._session.run not in (before, ""))
    assert told.of("state") == [False, True, False, True]
    assert rows._session.replication_id == replication_id(redis)
    assert await rows.get("k") is None


async def test_a_refused_script_ends_the_connection(open_rows: OpenRows) -> None:
    async with FakeRedis() as server:
        rows = await open_rows(server.url)
        server.answers["EVALSHA"] = b"-NEWREIGN the replication id is another one now\r\n"
        assert await rows.lease("k") is None
        await until(lambda: server.connections == 2)
