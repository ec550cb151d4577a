"""A Redis that answers, but not what was asked: each kind of error, and what it ends."""

import asyncio

import pytest

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.rows import RedisRows
from errors import Unavailable
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import (
    OK,
    FakeRedis,
    changes,
    command,
    entry,
    fill,
    filled,
    granted,
    until,
)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.redis.link.BACKOFF_MAX_S", 0.05)


ERRORS = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOAUTH Authentication required.",
    "ERR something new",
]


@pytest.mark.parametrize("error", ERRORS)
async def test_each_error_is_an_outage_with_one_line(
    open_rows: OpenRows, caplog: pytest.LogCaptureFixture, error: str, quick_retries: None
) -> None:
    async with FakeRedis() as fake:
        rows = await open_rows(fake.url, write_deadline_s=0.05)
        assert await rows.get("k") is None
        fake.error = error
        assert await rows.get("k") is None
        assert (rows.state, rows.reason.startswith(error)) == ("down", True)
        with pytest.raises(Unavailable):
            await rows.intend(["k"])
        connections = fake.connections
        await until(lambda: fake.connections >= connections + 3)
        assert rows.state == "down"
        fake.error = ""
        await until(lambda: rows.state == "up")
        await rows.close()
    assert changes(caplog) == ["up", "down", "up"]
    assert error in caplog.text


async def test_an_outage_during_the_handshake_is_no_lack_of_permission(open_rows: OpenRows) -> None:
    """Else its keys would be those of no run in particular, for as long as it is connected."""
    async with FakeRedis() as fake:
        fake.answers["INFO"] = b"-LOADING a moment\r\n"
        rows = await open_rows(fake.url, up=False)
        await until(lambda: rows.reason.startswith("LOADING a moment"))
        del fake.answers["INFO"]
        await until(lambda: rows.state == "up")
        await rows.close()


@pytest.mark.parametrize("error", ERRORS[:-1])
async def test_a_script_that_finds_an_outage_ends_the_connection(
    open_rows: OpenRows, error: str
) -> None:
    async with FakeRedis() as fake:
        rows = await open_rows(fake.url)
        fake.error = error
        assert await rows.lease("k") is None
        assert (rows.state, rows.reason.startswith(error)) == ("down", True)
        await rows.close()


@pytest.mark.parametrize(
    "error",
    [
        "READONLY You can't write against a read only replica.",
        "ERR Error running script (call to f_12): @user_script:3: -READONLY You can't write",
    ],
)
async def test_a_replica_we_are_stuck_on_is_left(open_rows: OpenRows, error: str) -> None:
    async with FakeRedis() as fake:
        fake.answers["EVAL"] = f"-{error}\r\n".encode()
        rows = await open_rows(fake.url)
        with pytest.raises(Unavailable):
            await rows.intend(["k"])
        assert fake.connections >= 2
        await rows.close()


async def test_a_master_that_becomes_a_replica_is_left_and_taken_back(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    with RedisServer() as other:
        rows = await open_rows(redis)
        command(redis, "REPLICAOF", other.host, other.port)
        try:  # no read, no write: the heartbeat finds out
            await until(lambda: rows.reason.startswith("it is a replica"))
            await asyncio.sleep(0.1)
            assert rows.state == "down"
        finally:
            command(redis, "REPLICAOF", "NO", "ONE")
        await until(lambda: rows.state == "up")


async def test_a_cluster_is_refused_by_name(open_rows: OpenRows) -> None:
    async with FakeRedis() as fake:
        fake.answers["HELLO"] = b"%1\r\n$4\r\nmode\r\n$7\r\ncluster\r\n"
        rows = await open_rows(fake.url, up=False)
        await until(lambda: "Cluster, which is not supported" in rows.reason)
        assert rows.state == "down"
        await rows.close()


async def test_without_replicas_writes_are_refused_and_reads_go_on(
    rows: RedisRows, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(rows, "k")
    lease = await granted(rows, "other")
    command(redis, "CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        for _ in range(2):
            with pytest.raises(Unavailable):
                await rows.intend(["k"])
        assert not await fill(rows, "other", lease, entry(), 60.0)
        assert isinstance(await rows.get("k"), Entry)
        assert rows.state == "up"
        assert "NOREPLICAS" in rows.reason
    finally:
        command(redis, "CONFIG", "SET", "min-replicas-to-write", 0)
    await rows.intend(["k"])
    assert rows.reason == ""
    said = [text for text in caplog.messages if "fills and writes" in text]
    assert len(said) == 2
    assert "NOREPLICAS" in said[0]
    assert said[1] == "Redis takes fills and writes again"


async def test_a_full_redis_costs_fills_only(rows: RedisRows, redis: RedisServer) -> None:
    await filled(rows, "k")
    lease = await granted(rows, "other")
    command(redis, "CONFIG", "SET", "maxmemory", 1)
    try:
        assert not await fill(rows, "other", lease, entry(), 60.0)
        assert isinstance(await rows.get("k"), Entry)
        assert await rows.settle(["k"], await rows.intend(["k"]))
    finally:
        command(redis, "CONFIG", "SET", "maxmemory", 0)


async def test_an_answer_of_the_wrong_shape_hangs_nobody(open_rows: OpenRows) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with FakeRedis() as fake:
        rows = await open_rows(fake.url, deadline_s=0.1)
        fake.answers["MGET"] = OK
        assert await rows.get("k") is None
        del fake.answers["MGET"]
        await until(lambda: fake.connections == 2)
        await rows.close()


async def test_an_owner_that_raises_hangs_nobody(open_rows: OpenRows, redis: RedisServer) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    is_broken = False

    class Broken(Near):
        def put(self, key: str, entry: Entry) -> bool:
            assert not is_broken, "a defect"
            return False

    rows = await open_rows(redis, deadline_s=0.1, near=Broken(1, 1.0))
    await filled(rows, "k")
    for read in (rows.get, rows.lease):
        is_broken = True
        assert await asyncio.wait_for(read("k"), 1.0) is None
        is_broken = False
        await until(lambda: rows.state == "up")
        assert isinstance(await rows.get("k"), Entry)
