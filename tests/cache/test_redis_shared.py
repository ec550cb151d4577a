"""Rows that several processes share: leases, intents, runs of Redis, and what stays near."""

import asyncio
import uuid
from pathlib import Path

import pytest

from bench.lab.proxy import Proxy
from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.rows import RedisRows
from cache.redis.scripts import Lease
from errors import Unavailable
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import (
    FakeRedis,
    calls,
    command,
    entry,
    fill,
    filled,
    granted,
    reconnected,
    restart,
    until,
    url_of,
)


@pytest.mark.parametrize(("order", "is_kept"), [("reply push", False), ("push reply", True)])
async def test_the_order_of_the_stream_decides_what_is_kept_near(
    open_rows: OpenRows, order: str, is_kept: bool
) -> None:
    """A value and its invalidation in one buffer: the waiter runs only after both are parsed."""
    packed = entry().pack()
    near = Near(1_000_000, 60.0)
    async with FakeRedis() as fake:
        rows = await open_rows(fake.url, near=near)

        def answer(words: list[bytes]) -> bytes:
            push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%b\r\n" % (len(words[1]), words[1])
            reply = b"*1\r\n$%d\r\n%b\r\n" % (len(packed), packed)
            return reply + push if order == "reply push" else push + reply

        fake.answers["MGET"] = answer
        assert isinstance(await rows.get("/content/k"), Entry)
        assert (near.get("/content/k") is not None) == is_kept
        await rows.close()
        assert near.get("/content/k") is None


async def test_one_replica_loads_and_the_others_wait(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    one, two = await open_rows(redis), await open_rows(redis)
    lease = await granted(one, "k")
    other = await two.lease("k")
    assert isinstance(other, Lease)
    assert (other.granted, other.held) == (False, True)
    asked = calls(redis)["evalsha"]
    assert not await fill(two, "k", other, entry("not mine to fill"), 60.0)
    assert calls(redis)["evalsha"] == asked  # no round trip for what cannot be
    assert await fill(one, "k", lease, entry(), 60.0)
    assert isinstance(await two.get("k"), Entry)


async def test_a_slow_fill_after_anothers_write_is_refused(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    reader, writer = await open_rows(redis), await open_rows(redis)
    lease = await granted(reader, "k")
    intent = await writer.intend(["k"])
    fenced = await reader.lease("k")
    assert isinstance(fenced, Lease)
    assert (fenced.granted, fenced.held) == (False, False)
    assert await writer.settle(["k"], intent)
    assert not await fill(reader, "k", lease, entry("old row"), 60.0)
    assert await reader.get("k") is None


@pytest.mark.parametrize("how", ["write", "flush"])
async def test_what_others_do_empties_near(
    open_rows: OpenRows, redis: RedisServer, how: str
) -> None:
    near = Near(1_000_000, 60.0)
    reader = await open_rows(redis, near=near)
    writer = await open_rows(redis)
    await filled(writer, "/content/k")
    await until(lambda: near.enabled)
    await reader.get("/content/k")
    assert near.get("/content/k") is not None
    if how == "write":
        await writer.intend(["/content/k"])
    else:
        command(redis, "FLUSHALL")
    await until(lambda: near.get("/content/k") is None, within_s=1.0)


async def test_an_intent_whose_writer_gave_up_is_lifted(
    open_rows: OpenRows, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.redis.rows.INTENT_MS", 60_000)
    rows = await open_rows(redis, write_deadline_s=0.05)
    redis.pause()
    with pytest.raises(Unavailable):
        await rows.intend(["k"])
    redis.resume()
    await until(lambda: calls(redis)["zadd"] == 1)
    await until(lambda: command(redis, "KEYS", "content:*:i:k") == [], within_s=5.0)


async def test_a_fill_of_an_earlier_run_is_refused_and_an_intent_settles_on_the_new_one(
    rows: RedisRows, redis: RedisServer, open_rows: OpenRows
) -> None:
    lease = await granted(rows, "k")
    intent = await rows.intend(["other"])
    await restart(rows, redis)
    assert not await fill(rows, "k", lease, entry("old row"), 60.0)
    await filled(rows, "other", entry("old row"))  # nothing fences this run
    assert await rows.settle(["other"], intent)
    assert await rows.get("other") is None
    await granted(rows, "other")


async def test_what_a_restart_brings_back_from_disk_is_not_served(
    open_rows: OpenRows, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path / "redis", ["--save", "3600", "1"]) as server:
        rows = await open_rows(server)
        await filled(rows, "k", entry("old row"))
        await restart(rows, server)
        assert command(server, "KEYS", "content:*:v:k") != []
        assert await rows.get("k") is None
    assert sum("persists to disk" in text for text in caplog.messages) == 1


async def test_a_redis_that_keeps_nothing_is_not_warned_about(
    rows: RedisRows, caplog: pytest.LogCaptureFixture
) -> None:
    assert [each.message for each in caplog.get_records("setup") if "disk" in each.message] == []


async def test_two_stores_on_one_redis_do_not_meet(open_rows: OpenRows, redis: RedisServer) -> None:
    one, two = await open_rows(redis, identity="one"), await open_rows(redis, identity="two")
    await filled(one, "k")
    assert await two.get("k") is None


async def test_a_store_that_cannot_be_told_yet_is_asked_again(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    asked, name = 0, uuid.uuid4().hex

    async def identity() -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise OSError("the store is not up yet")
        return name

    rows = await open_rows(redis, up=False, identity=identity)
    await until(lambda: "the store is not up yet" in rows.reason)
    await until(lambda: rows.state == "up")
    command(redis, "CLIENT", "KILL", "TYPE", "normal")
    await reconnected(rows, rows._link.attempts)


async def test_a_store_that_is_away_at_first_does_not_delay_redis_for_long(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    """``/readyz`` says ready once the store is reached, and a first write needs Redis then. With
    the pauses that Redis gets after errors, so many questions would take more than 10 s."""
    asked = 0

    async def identity() -> str:
        nonlocal asked
        asked += 1
        if asked <= 30:
            raise Unavailable("the store is away")
        return "test"

    rows = await open_rows(redis, up=False, identity=identity)
    await until(lambda: rows.reason == "not asked until the store is reached")
    await until(lambda: rows.state == "up")


async def test_a_store_that_is_made_anew_has_other_keys(
    open_rows: OpenRows, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the service runs: the store says so, and nobody restarts anything."""
    monkeypatch.setattr("cache.redis.link.STORE_S", 0.05)
    name = uuid.uuid4().hex

    async def identity() -> str:
        return name

    rows = await open_rows(redis, identity=identity)
    await filled(rows, "k")
    attempts = rows._link.attempts
    name = uuid.uuid4().hex
    await reconnected(rows, attempts)
    assert await rows.get("k") is None


@pytest.mark.parametrize("damage", ["", "not packed", "1 2", "9" * 400 + " 1 t\n{}"])
async def test_a_damaged_value_is_replaced_by_the_next_load(
    rows: RedisRows, redis: RedisServer, damage: str
) -> None:
    await filled(rows, "k")
    command(redis, "SET", f"{rows._link.session.prefix}v:k", damage)
    assert await rows.get("k") is None
    assert await fill(rows, "k", await granted(rows, "k"), entry("new"), 60.0)
    found = await rows.get("k")
    assert found is not None
    assert found.body == b"new"


async def test_who_gives_a_lease_back_takes_nothing_from_who_came_after(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    """A load that failed late: its lease has expired, another one's has not, or is filled."""
    here, there = await open_rows(redis), await open_rows(redis)
    failed = await granted(here, "k")
    command(redis, "DEL", f"{here._link.session.prefix}l:k")  # as its expiry does
    lease = await granted(there, "k")
    here.release("k", failed)
    held = await here.lease("k")
    assert isinstance(held, Lease)
    assert held.held
    here.release("k", held)
    await here.get("k")  # behind both on the wire
    assert await fill(there, "k", lease, entry(), 60)
    here.release("k", failed)
    assert isinstance(await here.get("k"), Entry)


async def test_a_lease_that_comes_too_late_is_given_back(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    with Proxy(redis.host, redis.port) as line:
        slow, fast = await open_rows(url_of(line), deadline_s=0.02), await open_rows(redis)
        line.delay(0.04, 0.04)
        assert await slow.lease("k") is None
        await until(lambda: calls(redis)["set"] > 0)  # it was granted, behind its asker's back
        await until(lambda: command(redis, "KEYS", "*:l:k") == [], within_s=1.0)
        await granted(fast, "k")


@pytest.mark.parametrize("may_be_late", [True, False])
async def test_an_intent_that_comes_too_late_is_lifted_unless_it_may_be_late(
    open_rows: OpenRows, redis: RedisServer, may_be_late: bool
) -> None:
    with Proxy(redis.host, redis.port) as line:
        slow = await open_rows(url_of(line), write_deadline_s=0.05)
        line.delay(0.06, 0.06)
        with pytest.raises(Unavailable):
            await slow.intend(["k"], may_be_late=may_be_late)
        await until(lambda: command(redis, "KEYS", "*:i:k"))
        await asyncio.sleep(0.5)  # the reply arrives, and what it causes
        assert bool(command(redis, "KEYS", "*:i:k")) == may_be_late
