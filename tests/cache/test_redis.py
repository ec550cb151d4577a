"""Rows in a Redis that is well: batching, callbacks in order, fences across processes."""

import asyncio
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.redis.calls import KEYS_MAX
from cache.redis.connection import UNSENT_MAX_BYTES
from cache.redis.rows import RedisRows
from cache.redis.scripts import Lease
from errors import Unavailable
from metrics import Publisher
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import (
    Recorder,
    calls,
    command,
    entry,
    filled,
    granted,
    until,
)


def value_key(redis: RedisServer, key: str) -> str:
    """What Redis calls the value of ``key``; there is one store in these tests."""
    (name,) = command(redis, "KEYS", f"content:*:v:{key}")
    return str(name)


async def test_concurrent_gets_are_one_round_trip(rows: RedisRows, redis: RedisServer) -> None:
    for number in range(100):
        await filled(rows, f"k{number}", entry(f"row {number}"))
    before = calls(redis)["mget"]
    found = await asyncio.gather(*(rows.get(f"k{number}") for number in range(100)))
    assert [each and each.body for each in found] == [b"row %d" % n for n in range(100)]
    assert calls(redis)["mget"] == before + 1


async def test_many_gets_are_cut_into_round_trips_that_hold_nobody_up(
    rows: RedisRows, redis: RedisServer
) -> None:
    before = calls(redis)["mget"]
    await asyncio.gather(*(rows.get(f"k{number}") for number in range(2 * KEYS_MAX + 1)))
    assert calls(redis)["mget"] == before + 3


async def test_gets_of_one_key_ask_once_and_all_are_answered(rows: RedisRows) -> None:
    await filled(rows, "k")
    one, two, absent = await asyncio.gather(rows.get("k"), rows.get("k"), rows.get("absent"))
    assert one is not None
    assert one is two
    assert absent is None


async def test_a_script_is_sent_whole_once_and_then_by_its_digest(
    rows: RedisRows, redis: RedisServer
) -> None:
    before = calls(redis)
    for number in range(3):
        intent = await rows.intend([f"k{number}"])
        assert await rows.settle([f"k{number}"], intent)
    assert calls(redis)["eval"] == before["eval"] + 2
    assert calls(redis)["evalsha"] == before["evalsha"] + 4


async def test_no_write_is_refused_because_redis_has_forgotten_the_scripts(
    rows: RedisRows, redis: RedisServer
) -> None:
    await rows.settle(["k"], await rows.intend(["k"]))
    command(redis, "SCRIPT", "FLUSH")
    intent = await rows.intend(["k"])
    lease = await rows.lease("k")
    assert isinstance(lease, Lease)
    assert not lease.granted
    assert await rows.settle(["k"], intent)


async def test_a_hit_is_what_was_filled(rows: RedisRows) -> None:
    kept = Entry('{"å":"\n"}'.encode(), b'"v1"', 1_700_000_000.0)
    await filled(rows, "k", kept)
    found = await rows.get("k")
    assert found is not None
    assert (found.body, found.etag, found.filled_at) == (kept.body, kept.etag, kept.filled_at)
    leased = await rows.lease("k")
    assert isinstance(leased, Entry)
    assert leased.body == kept.body


async def test_a_negative_entry_is_kept_too(rows: RedisRows) -> None:
    await filled(rows, "k", Entry.absent())
    found = await rows.get("k")
    assert found is not None
    assert found.status == 404


async def test_bytes_that_are_no_entry_are_a_miss(rows: RedisRows, redis: RedisServer) -> None:
    await filled(rows, "k")
    command(redis, "SET", value_key(redis, "k"), "garbage")
    assert await rows.get("k") is None
    assert (rows.state, rows._link.attempts) == ("up", 1)


async def test_reads_are_counted_by_result(open_rows: OpenRows, redis: RedisServer) -> None:
    publisher = Publisher()
    rows = await open_rows(redis, publisher=publisher)
    await filled(rows, "k")
    await asyncio.gather(rows.get("k"), rows.get("k"), rows.get("absent"))
    publisher.publish()

    def reads(result: str) -> float | None:
        return publisher.get_sample_value("content_redis_reads_total", {"result": result})

    assert (reads("hit"), reads("miss"), reads("late"), reads("down")) == (2, 1, 0, 0)
    assert publisher.get_sample_value("content_redis_up") == 1


async def test_a_batch_and_a_script_are_timed_from_command_to_reply(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    publisher = Publisher()
    rows = await open_rows(redis, publisher=publisher)
    await asyncio.gather(*(rows.get(f"{n}") for n in range(10)))  # one batch
    redis.pause()
    waiting = asyncio.ensure_future(rows.lease("k"))
    await asyncio.sleep(0.1)
    redis.resume()
    await waiting

    def timed(part: str, command: str) -> float:
        name = f"content_redis_seconds_{part}"
        return publisher.get_sample_value(name, {"command": command}) or 0.0

    assert timed("count", "MGET") == 0  # not before it is published
    publisher.publish()
    assert (timed("count", "MGET"), timed("count", "EVALSHA")) == (1, 1)
    assert 0 < timed("sum", "MGET") < timed("sum", "EVALSHA") < 5
    assert timed("sum", "EVALSHA") >= 0.1


async def test_a_cancelled_waiter_disturbs_nobody(open_rows: OpenRows, redis: RedisServer) -> None:
    publisher = Publisher()
    rows = await open_rows(redis, publisher=publisher)
    await filled(rows, "k")
    redis.pause()
    waits = [asyncio.ensure_future(rows.get("k")) for _ in range(3)]
    fill = asyncio.ensure_future(rows.lease("other"))
    await asyncio.sleep(0.01)
    waits[1].cancel()
    fill.cancel()
    redis.resume()
    first, cancelled, last = await asyncio.gather(*waits, return_exceptions=True)
    assert isinstance(first, Entry)
    assert first is last
    assert isinstance(cancelled, asyncio.CancelledError)
    assert isinstance(await rows.get("k"), Entry)
    assert publisher.get_sample_value("content_redis_connections_total") == 1


async def test_values_read_are_told_and_what_others_change_is_invalidated(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    told = Recorder()
    rows = await open_rows(redis, near=told)
    await filled(rows, "k")
    await until(lambda: "k" in told.of("invalidate"))  # by our own fill: scripts are nobody's
    await rows.get("k")
    await rows.lease("k")
    assert told.of("value") == ["k", "k"]
    name = value_key(redis, "k")
    for change in (("SET", name, "x"), ("PEXPIRE", name, 1), ("SET", name, "x"), ("DEL", name)):
        told.events.clear()
        command(redis, *change)
        await until(lambda: ("invalidate", "k") in told.events)
        await asyncio.sleep(0.005)  # so that an expiry is told before the next change
    command(redis, "FLUSHALL")
    await until(lambda: ("invalidate", None) in told.events)
    assert told.of("state") == []


async def test_a_value_that_expires_is_invalidated(open_rows: OpenRows, redis: RedisServer) -> None:
    told = Recorder()
    rows = await open_rows(redis, near=told)
    await filled(rows, "k")
    name = value_key(redis, "k")
    command(redis, "PEXPIRE", name, 100)
    await until(lambda: told.of("invalidate") == ["k"] * 3)  # the fill, the change, the expiry
    assert command(redis, "EXISTS", name) == 0


async def test_after_close_reads_are_misses_and_writes_refused(
    open_rows: OpenRows, redis: RedisServer
) -> None:
    told = Recorder()
    rows = await open_rows(redis, write_deadline_s=0.01, near=told)
    await filled(rows, "k")
    redis.pause()
    waiting = asyncio.ensure_future(rows.get("k"))
    await asyncio.sleep(0)
    await rows.close()
    assert await waiting is None
    redis.resume()
    assert await rows.get("k") is None
    assert not await rows.settle(["k"], "token")
    with pytest.raises(Unavailable):
        await rows.intend(["k"])
    assert (rows.state, rows.reason, told.of("state")) == ("down", "closed", [False, True, False])


async def test_a_unix_socket_and_another_database(open_rows: OpenRows, tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer(tmp_path / "redis", ["--unixsocket", str(path)]) as server:
        rows = await open_rows(f"unix://{path}?db=3")
        await filled(rows, "k")
        assert isinstance(await rows.get("k"), Entry)
        assert "db3:keys=1" in command(server, "INFO", "keyspace")


async def test_unsent_fills_hold_up_no_write_and_give_their_leases_back(rows: RedisRows) -> None:
    large = entry("x" * (UNSENT_MAX_BYTES // 2 + 1))
    keys = [f"k{number}" for number in range(4)]
    leases = [await granted(rows, key) for key in keys]
    for key, lease in zip(keys, leases, strict=True):
        rows.fill(key, lease, large, 60.0)
    intent = await rows.intend(["another"])
    assert await rows.settle(["another"], intent)
    assert [await rows.get(key) is not None for key in keys] == [True, True, False, False]
    for key in keys[2:]:
        await granted(rows, key)
