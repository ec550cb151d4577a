"""A master with a replica and three sentinels: what a failover may cost, and what it may not.

No sentinel, and no promoted replica, brings back what a write that was acknowledged has replaced.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from bench.lab.sentinel import NAME, Watched, watched
from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.redis.address import Address
from cache.redis.rows import RedisRows
from cache.redis.scripts import Lease
from cache.redis.sentinel import Sentinels
from errors import Unavailable
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import Recorder, command, entry, filled, until, warnings
from tests.db.samples import eventually

BOUND_S = 40.0
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def module_world() -> Iterator[Watched]:
    with watched() as world:
        yield world


@pytest.fixture
async def world(module_world: Watched) -> AsyncIterator[Watched]:
    """All there and in step, whatever the test before has done."""
    yield module_world
    for server in (*module_world.servers, *module_world.sentinels):
        if server.running:
            server.resume()
        await asyncio.to_thread(server.start)
    await asyncio.to_thread(module_world.settle)
    command(module_world.master(), "FLUSHALL")


def place(world: Watched, name: str = NAME) -> Sentinels:
    return Sentinels([(each.host, each.port) for each in world.sentinels], name, Address())


async def failed_over(rows: RedisRows, since: str) -> None:
    """Waits until ``rows`` is at another master than at ``since``."""
    await until(lambda: rows.state == "up" and rows._link.session.run != since, BOUND_S)


def run_id(server: RedisServer) -> str:
    lines = str(command(server, "INFO", "server")).splitlines()
    return next(line for line in lines if line.startswith("run_id:"))


async def acknowledged(rows: RedisRows, key: str) -> bool:
    """A write, up to its acknowledgement; False when that does not come."""
    try:
        intent = await rows.intend([key])
    except Unavailable:
        return False
    return await rows.settle([key], intent)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_the_client_follows_a_failover_and_never_goes_back(
    world: Watched, open_rows: OpenRows, fault: str
) -> None:
    told = Recorder()
    rows = await open_rows(place(world), hang_s=0.5, deadline_s=0.1, near=told)
    await filled(rows, "k")
    old, first = world.master(), rows._link.session.run
    if fault == "killed":
        old.kill()
    else:
        old.pause()
    await until(lambda: rows.state == "down")
    assert await rows.get("k") is None
    with pytest.raises(Unavailable):
        await rows.intend(["k"])
    await failed_over(rows, first)
    assert told.of("state") == [False, True, False, True]  # the near cache was emptied in between
    assert await rows.get("k") is None  # the replica had it, under a name that nobody reads
    second = rows._link.session.run
    await asyncio.to_thread(old.start)  # comes as a master, as whoever restarts it has no idea
    old.resume()
    await asyncio.to_thread(world.settle)  # by then it is a replica, or the settling fails
    await until(lambda: rows.state == "up")
    assert rows._link.session.run == second
    await filled(rows, "k")
    assert await rows.get("k") is not None


async def test_what_was_replaced_in_between_is_not_back_when_its_master_is(
    world: Watched, open_rows: OpenRows
) -> None:
    """There and back between two servers that never end: run_ids repeat, contents are replicated
    both ways, and what the first reign kept is still there."""
    rows = await open_rows(place(world))
    await filled(rows, "k", entry("old"))
    first, home, process = rows._link.session.run, world.master(), run_id(world.master())
    kept = f"{rows._link.session.prefix}v:k"
    # a failover does not wait for what is still to be replicated
    await until(lambda: all(command(each, "EXISTS", kept) for each in world.servers))
    await asyncio.to_thread(world.fail_over)
    await failed_over(rows, first)
    second = rows._link.session.run
    # what replaces the row; a master that has just lost sight of its replica refuses it
    await eventually(lambda: acknowledged(rows, "k"))
    await asyncio.to_thread(world.fail_over)
    await failed_over(rows, second)
    assert (world.master(), run_id(home)) == (home, process)
    assert command(home, "EXISTS", kept) == 1
    assert rows._link.session.run not in (first, second)
    assert not isinstance(await rows.get("k"), Entry)


async def test_reconnecting_to_the_same_master_keeps_what_is_there(
    world: Watched, open_rows: OpenRows
) -> None:
    rows = await open_rows(place(world))
    await filled(rows, "k")
    run, connects = rows._link.session.run, rows._link.attempts
    command(world.master(), "CLIENT", "KILL", "TYPE", "normal")
    await until(lambda: rows.state == "up" and rows._link.attempts > connects)
    assert rows._link.session.run == run
    assert isinstance(await rows.get("k"), Entry)


async def test_a_write_over_a_failover_is_acknowledged_once_the_new_master_forgot(
    world: Watched, open_rows: OpenRows
) -> None:
    writer, reader = await open_rows(place(world)), await open_rows(place(world))
    first = writer._link.session.run
    intent = await writer.intend(["k"])
    await asyncio.to_thread(world.fail_over)
    await failed_over(reader, first)
    await filled(reader, "k", entry("old"))  # read from the store before the write got there

    await eventually(lambda: writer.settle(["k"], intent))
    assert not isinstance(await reader.get("k"), Entry)


async def test_a_master_without_its_replica_takes_no_writes_and_reads_go_on(
    world: Watched, open_rows: OpenRows
) -> None:
    rows = await open_rows(place(world))
    await filled(rows, "k")
    world.replica().pause()

    async def is_refused() -> bool:
        return not await acknowledged(rows, "other")

    await eventually(is_refused)
    with pytest.raises(Unavailable):
        await rows.intend(["other"])
    assert "NOREPLICAS" in rows.reason
    assert rows.state == "up"
    assert isinstance(await rows.get("k"), Entry)
    world.replica().resume()
    await eventually(lambda: acknowledged(rows, "other"))
    assert rows.reason == ""


async def test_without_sentinels_it_is_as_without_redis(
    world: Watched, open_rows: OpenRows
) -> None:
    told = Recorder()
    rows = await open_rows(place(world), write_deadline_s=0.1, near=told)
    await filled(rows, "k")
    world.sentinels[0].kill()
    await asyncio.sleep(4.5)
    assert rows.state == "up"  # two of three are a majority
    world.sentinels[1].pause()
    world.sentinels[2].kill()
    await until(lambda: rows.state == "down")
    assert "no majority of the sentinels names a master" in rows.reason
    assert told.of("state") == [False, True, False]
    assert await rows.get("k") is None
    with pytest.raises(Unavailable):
        await rows.intend(["k"])
    world.sentinels[1].resume()
    await asyncio.to_thread(world.sentinels[2].start)
    await until(lambda: rows.state == "up", BOUND_S)
    assert isinstance(await rows.get("k"), Entry)


async def test_a_master_that_would_write_alone_is_warned_of(
    world: Watched, open_rows: OpenRows, caplog: pytest.LogCaptureFixture
) -> None:
    command(world.master(), "CONFIG", "SET", "min-replicas-to-write", "0")
    try:
        await open_rows(place(world))
    finally:
        command(world.master(), "CONFIG", "SET", "min-replicas-to-write", "1")
    assert sum("min-replicas-to-write" in text for text in warnings(caplog)) == 1
    caplog.clear()
    await open_rows(place(world))
    assert not warnings(caplog)


async def test_a_wrong_name_is_said(world: Watched, open_rows: OpenRows) -> None:
    rows = await open_rows(place(world, "other"), up=False)
    await until(lambda: "knows no master named other" in rows.reason)
    assert rows.state == "down"


async def test_an_old_connection_fences_no_names_that_nobody_reads(
    world: Watched, open_rows: OpenRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replication ID may change under a connection. A write through it is made on the next
    connection, under the names that later connections read."""
    monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", 3_600.0)
    early = await open_rows(place(world))
    command(world.master(), "CONFIG", "SET", "repl-backlog-ttl", "1")
    try:
        world.replica().kill()
        run = early._link.session.run
        await until(lambda: _replication_id(world) != early._link.session.replication_id, BOUND_S)
        late = await open_rows(place(world))
        assert (early._link.session.run, late._link.session.run != run) == (run, True)
        command(world.master(), "CONFIG", "SET", "min-replicas-to-write", "0")
        await filled(late, "k", entry("old"))
        assert await acknowledged(early, "k")
        assert early._link.session.run == late._link.session.run
        assert isinstance(await late.lease("k"), Lease)
    finally:
        command(world.master(), "CONFIG", "SET", "repl-backlog-ttl", "3600")
        command(world.master(), "CONFIG", "SET", "min-replicas-to-write", "1")


def _replication_id(world: Watched) -> str:
    fields = str(command(world.master(), "INFO", "replication")).splitlines()
    return next(line.partition(":")[2] for line in fields if line.startswith("master_replid:"))
