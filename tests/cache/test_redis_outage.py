"""Redis gone, frozen, restarting or refusing: reads outlive it, writes are refused, all comes back
without a restart, and the log has one line per change of state."""

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from bench.lab.processes import free_ports
from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.address import Address
from cache.redis.rows import RedisRows
from cache.redis.scripts import Intent
from errors import Unavailable
from metrics import Publisher
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import (
    Recorder,
    changes,
    command,
    entry,
    fill,
    filled,
    granted,
    named,
    restart,
    until,
    url_of,
)


async def test_slow_redis_is_a_miss_after_the_deadline(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    publisher = Publisher()
    told = Recorder()
    rows = await open_rows(redis, deadline_s=0.02, publisher=publisher, near=told)
    await filled(rows, "k")
    told.events.clear()
    redis.pause()
    began = time.monotonic()
    assert list(await asyncio.gather(rows.get("k"), rows.get("k"))) == [None, None]
    assert time.monotonic() - began >= 0.02
    assert await rows.lease("k") is None
    publisher.publish()
    late = publisher.get_sample_value("content_redis_reads_total", {"result": "late"})
    assert late == 2
    redis.resume()
    await until(lambda: told.of("value") == ["k", "k"])  # the late replies, in their order
    assert isinstance(await rows.get("k"), Entry)
    assert publisher.get_sample_value("content_redis_connections_total") == 1


async def test_each_batch_has_its_own_deadline(open_rows: OpenRows, redis: RedisServer) -> None:
    rows = await open_rows(redis, deadline_s=0.3)
    redis.pause()
    ended: list[str] = []
    first = asyncio.ensure_future(rows.get("a"))
    first.add_done_callback(lambda _: ended.append("first"))
    await asyncio.sleep(0.15)
    began = time.monotonic()
    second = asyncio.ensure_future(rows.get("b"))
    second.add_done_callback(lambda _: ended.append("second"))
    await asyncio.wait({first, second})
    assert ended == ["first", "second"]
    assert time.monotonic() - began >= 0.3


async def test_frozen_redis_is_given_up_and_comes_back(
    open_rows: OpenRows, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    told = Recorder()
    rows = await open_rows(redis, deadline_s=60.0, hang_s=0.3, handshake_s=0.2, near=told)
    await filled(rows, "k")
    redis.pause()
    await until(lambda: rows.state == "down")  # nobody reads: the heartbeat alone finds out
    assert told.of("state") == [False, True, False]
    assert rows.reason == f"no answer for 0.3 s (at {redis.host}:{redis.port})"
    for _ in range(1_000):  # none of them waits for its deadline
        assert await rows.get("k") is None
    await until(lambda: "new connection" in rows.reason)  # the kernel accepts; nobody greets
    redis.resume()
    await until(lambda: rows.state == "up")
    assert isinstance(await rows.get("k"), Entry)
    assert told.of("state") == [False, True, False, True]
    assert changes(caplog) == ["up", "down", "up"]


async def test_killed_redis_is_a_miss_at_once_and_comes_back(
    open_rows: OpenRows, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    rows = await open_rows(redis, write_deadline_s=0.1)
    redis.pause()
    waiting = [asyncio.ensure_future(rows.get("k")), asyncio.ensure_future(rows.lease("k"))]
    await asyncio.sleep(0.01)
    redis.kill()
    assert await asyncio.gather(*waiting) == [None, None]
    with pytest.raises(Unavailable):
        await rows.intend(["k"])
    assert not await rows.settle(["k"], "token")
    redis.start()
    await until(lambda: rows.state == "up")
    await filled(rows, "k")
    await restart(rows, redis)
    assert changes(caplog) == ["up", "down", "up", "down", "up"]


async def test_a_read_whose_connection_ends_before_it_is_sent_is_a_miss(rows: RedisRows) -> None:
    reading = asyncio.ensure_future(rows.get("k"))
    await asyncio.sleep(0)
    rows._link.fail("on purpose")
    assert await asyncio.wait_for(reading, 0.5) is None


async def test_a_write_during_a_restart_waits_for_it(rows: RedisRows, redis: RedisServer) -> None:
    redis.kill()
    await until(lambda: rows.state == "down")
    writing = asyncio.ensure_future(rows.intend(["k"]))
    await asyncio.to_thread(redis.start)
    assert isinstance(await writing, Intent)


async def test_start_up_order_does_not_matter(
    open_rows: OpenRows, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    redis.kill()
    rows = await open_rows(redis, up=False)
    await until(lambda: f"(at {redis.host}:{redis.port})" in rows.reason)
    assert f"(at {redis.host}:{redis.port})" in caplog.text
    redis.start()
    await until(lambda: rows.state == "up")
    assert changes(caplog) == ["down", "up"]


class Load:
    """Readers and writers on 20 keys until told to stop; nothing but Unavailable may be raised."""

    def __init__(self, rows: RedisRows) -> None:
        self.rows = rows
        self.reads = self.hits = self.writes = self.refused = 0
        self._goes_on = True
        self._tasks = [asyncio.create_task(self._read(n)) for n in range(8)]
        self._tasks += [asyncio.create_task(self._write(n)) for n in range(2)]

    async def stop(self) -> None:
        self._goes_on = False
        await asyncio.gather(*self._tasks)

    async def _read(self, number: int) -> None:
        while self._goes_on:
            number = (number * 7 + 1) % 20
            self.reads += 1
            if await self.rows.get(f"k{number}"):
                self.hits += 1
            else:
                lease = await self.rows.lease(f"k{number}")
                if lease is not None and not isinstance(lease, Entry):
                    await fill(self.rows, f"k{number}", lease, entry(), 60.0)
            await asyncio.sleep(0.001)  # others need the machine, too

    async def _write(self, number: int) -> None:
        while self._goes_on:
            number = (number * 3 + 1) % 20
            try:
                intent = await self.rows.intend([f"k{number}", "k0"])
            except Unavailable:
                self.refused += 1
            else:
                await self.rows.settle([f"k{number}", "k0"], intent)
                self.writes += 1
            await asyncio.sleep(0.002)


async def test_restarts_under_load_raise_nothing(open_rows: OpenRows, redis: RedisServer) -> None:
    rows = await open_rows(redis, deadline_s=0.5, write_deadline_s=0.5)
    load = Load(rows)
    for _ in range(3):
        await asyncio.sleep(0.1)
        await asyncio.to_thread(redis.kill)
        await asyncio.to_thread(redis.start)
        await until(lambda: rows.state == "up")
    hits, writes = load.hits, load.writes
    await until(lambda: load.hits > hits + 50 and load.writes > writes + 5)
    await load.stop()


async def test_flushed_scripts_under_load_refuse_no_write(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    publisher = Publisher()
    rows = await open_rows(redis, publisher=publisher)
    load = Load(rows)
    for _ in range(20):
        writes = load.writes
        await asyncio.to_thread(command, redis, "SCRIPT", "FLUSH")
        await until(lambda: load.writes > writes + 1)  # noqa: B023 - it is awaited here
    await load.stop()
    assert load.refused == 0
    assert load.hits > 0
    assert publisher.get_sample_value("content_redis_refusals_total") == 0


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_stood_still_blames_nobody(
    redis: RedisServer, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """What came in time and lies in the socket is neither late nor a hang; that takes a loop which
    looks at its sockets before it looks at its timers, as uvloop does and asyncio's own."""

    async def scenario() -> None:
        publisher = Publisher()
        place, near = Address.from_url(url_of(redis)), Near(0, 1.0)
        rows = RedisRows(place, named("test"), near, publisher, deadline_s=0.05, hang_s=0.3)
        await rows.open()
        await until(lambda: rows.state == "up")
        await fill(rows, "k", await granted(rows, "k"), entry(), 60.0)
        for stall_s in (0.07, 0.6):
            reading = asyncio.ensure_future(rows.get("k"))
            await asyncio.sleep(0.002)  # sent
            time.sleep(stall_s)  # noqa: ASYNC251 - on purpose
            assert isinstance(await reading, Entry)
        assert rows.state == "up"
        assert publisher.get_sample_value("content_redis_connections_total") == 1
        await rows.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(scenario())


async def test_a_refused_port_is_tried_seldom(open_rows: OpenRows) -> None:
    (port,) = free_ports(1)
    cpu = time.process_time()
    rows = await open_rows(f"redis://127.0.0.1:{port}", up=False)
    await asyncio.sleep(1.5)
    assert 3 <= rows._link.attempts <= 12
    assert time.process_time() - cpu < 0.15


@pytest.mark.parametrize("step", ["intend", "settle"])
async def test_a_write_whose_connection_ends_goes_on_with_the_next(
    rows: RedisRows, redis: RedisServer, step: str
) -> None:
    intent = "token" if step == "intend" else await rows.intend(["k"])
    connects = rows._link.attempts
    redis.pause()
    write = rows.intend(["k"]) if step == "intend" else rows.settle(["k"], intent)
    writing = asyncio.ensure_future(write)
    await asyncio.sleep(0.01)
    rows._link.fail("killed")
    redis.resume()
    assert await writing
    assert rows._link.attempts > connects
    intents = command(redis, "KEYS", "content:*:i:k")
    assert len(intents) == (step == "intend")
    assert all(command(redis, "ZCARD", each) == 1 for each in intents)


async def test_connections_killed_one_after_another_refuse_no_write(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    rows = await open_rows(redis, write_deadline_s=1.0)
    load = Load(rows)
    for _ in range(6):
        await asyncio.sleep(0.6)
        command(redis, "CLIENT", "KILL", "TYPE", "normal")
    writes = load.writes
    await until(lambda: load.writes > writes + 5)
    await load.stop()
    assert load.refused == 0


async def test_a_redis_that_is_away_refuses_a_write_at_its_deadline(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    rows = await open_rows(redis, write_deadline_s=0.2)
    redis.kill()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        await rows.intend(["k"])
    assert time.monotonic() - began > 0.15
