"""Reads through the layers: each is loaded once, kept where it belongs, for as long as it may."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer
from cache import reads
from cache.keys import genre_key, row_key
from cache.reads import LIST_TTL_S, NEGATIVE_TTL_S, Answer
from cache.redis.scripts import Lease
from db.version import new_id
from errors import Unavailable
from tests.cache.redis_world import calls, command, until
from tests.cache.store_world import ROW_TTL_S, Replica, opened, soon


@pytest.fixture(params=["near alone", "redis"])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replica]:
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    async with opened(tmp_path, redis) as replica:
        yield replica


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two that share a Redis; near caches off, so that what is read is what Redis has."""
    async with (
        opened(tmp_path, redis, near_bytes=0) as one,
        opened(tmp_path, redis, near_bytes=0) as other,
    ):
        yield one, other


async def test_a_thousand_readers_are_one_read_of_the_store(here: Replica) -> None:
    video_id = await here.create()
    trap = here.store.has_read["video"].trap()
    readers = [asyncio.create_task(here.read(video_id)) for _ in range(1_000)]
    await trap.reached()
    trap.release()
    found = await soon(asyncio.gather(*readers))
    assert here.store.calls["video"] == 1
    assert len({answer.entry.body for answer in found}) == 1
    assert [answer.layer for answer in found].count("store") == 1
    assert {answer.layer for answer in found} <= {"store", "collapsed"}


async def test_every_layer_gives_the_same_bytes_and_says_who_it_was(here: Replica) -> None:
    video_id = await here.create()
    found = [await here.read(video_id)]
    while found[-1].layer != "near":
        found.append(await here.read(video_id))
    layers = list(dict.fromkeys(answer.layer for answer in found))
    assert layers == (["store", "redis", "near"] if here.redis else ["store", "near"])
    assert len({(answer.entry.body, answer.entry.etag) for answer in found}) == 1
    assert here.store.calls["video"] == 1


async def test_a_row_that_came_meanwhile_is_not_loaded_again(here: Replica) -> None:
    """The reader has missed, and another reader's load has ended since."""
    video_id = await here.create()
    assert (await here.videos.video(video_id)).layer == "store"
    assert (await here.videos.video(video_id)).layer == ("redis" if here.redis else "near")
    assert here.store.calls["video"] == 1


async def test_a_clock_that_jumps_fails_no_read(
    here: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is near by the steady clock is past its TTL by the other one."""
    video_id = await here.create()
    await here.videos.video(video_id)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 10 * ROW_TTL_S)
    assert (await here.videos.video(video_id)).entry.status == 200


async def test_a_cancelled_reader_stops_nobody_and_what_it_began_is_kept(here: Replica) -> None:
    video_id = await here.create()
    trap = here.store.has_read["video"].trap()
    first, second = (asyncio.create_task(here.read(video_id)) for _ in range(2))
    await trap.reached()
    first.cancel()
    trap.release()
    assert (await soon(second)).layer == "collapsed"
    assert (await here.read(video_id)).layer in ("near", "redis")
    third = await here.create()
    trap = here.store.has_read["video"].trap()
    alone = asyncio.create_task(here.read(third))
    await trap.reached()
    alone.cancel()
    await asyncio.wait([alone])
    trap.release()
    await until(lambda: len(here.videos._reads._flights) == 0)
    assert (await here.read(third)).layer in ("near", "redis")
    assert here.store.calls["video"] == 2


async def test_an_error_reaches_every_reader_and_is_kept_nowhere(here: Replica) -> None:
    video_id = await here.create()
    trap = here.store.has_read["video"].trap()
    here.store.failures["video"] = Unavailable("the store is away")
    readers = [asyncio.create_task(here.read(video_id)) for _ in range(50)]
    await trap.reached()
    trap.release()
    found = await soon(asyncio.gather(*readers, return_exceptions=True))
    assert [type(each) for each in found] == [Unavailable] * 50
    assert here.store.calls["video"] == 1
    here.store.failures.clear()
    assert (await here.read(video_id)).layer == "store"


async def test_while_the_store_is_away_every_refusal_comes_at_once(
    pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    video_id = new_id()
    for replica in pair:
        replica.store.failures["video"] = Unavailable("the store is away")
    monkeypatch.setattr(reads, "WAITS_S", (600.0,))  # of which a failed read waits for none
    for replica in pair * 2:
        with pytest.raises(Unavailable):
            await replica.read(video_id)


async def test_an_absent_row_is_asked_for_once(here: Replica) -> None:
    video_id = new_id()
    for _ in range(4):
        assert await here.is_absent(video_id)
    assert here.store.calls["video"] == 1
    assert await here.listed("no such genre") == []
    assert await here.listed("no such genre") == []
    assert here.store.calls["genre"] == 1


async def test_many_who_ask_for_an_absent_row_are_one_read_and_all_are_told(here: Replica) -> None:
    video_id = new_id()
    trap = here.store.has_read["video"].trap()
    readers = [asyncio.create_task(here.is_absent(video_id)) for _ in range(100)]
    await trap.reached()
    trap.release()
    assert await soon(asyncio.gather(*readers)) == [True] * 100
    assert here.store.calls["video"] == 1


async def test_a_list_is_not_kept_for_longer_than_a_loader_may_wait(here: Replica) -> None:
    """The loader writes past every cache: its rows show within 10 s, whatever NEAR_TTL_S says."""
    await here.create(genre="Drama")
    for _ in range(3):
        await here.listed("Drama")
    kept = here.near.get(genre_key("Drama"))
    assert kept is not None
    assert kept.expires_at - time.monotonic() <= 10.0


async def test_redis_is_told_how_long_to_keep_what(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    rows = [await here.create(genre="Drama") for _ in range(20)]
    for video_id in rows:
        await here.read(video_id)
    await until(lambda: all(here.kept(redis, "v", row_key(each)) for each in rows))
    ages = [command(redis, "PTTL", here.name("v", row_key(each))) / 1_000 for each in rows]
    assert all(0.9 * ROW_TTL_S - 10.0 <= age <= ROW_TTL_S for age in ages)
    assert max(ages) - min(ages) > 0.01 * ROW_TTL_S  # filled together, not gone together
    absent = new_id()
    assert await here.is_absent(absent)
    assert await here.listed("Drama")
    assert await here.listed("nowhere") == []
    for key in (row_key(absent), genre_key("Drama"), genre_key("nowhere")):
        await until(lambda key=key: here.kept(redis, "v", key))  # type: ignore[misc]
        age_s = command(redis, "PTTL", here.name("v", key)) / 1_000
        assert 1.0 < age_s <= LIST_TTL_S == NEGATIVE_TTL_S == 5.0


async def test_a_hit_in_redis_is_one_command_and_a_near_hit_none(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with opened(tmp_path, redis) as here:
        video_id = await here.create()
        await here.read(video_id)
        await until(lambda: here.kept(redis, "v", row_key(video_id)))
        await here.videos.cached(row_key(new_id()))  # the push of the fill comes before its reply
        command(redis, "CONFIG", "RESETSTAT")
        assert (await here.read(video_id)).layer == "redis"
        ran = calls(redis)
        assert (ran["mget"], ran["evalsha"], ran["eval"], ran["get"]) == (1, 0, 0, 0)
        for _ in range(10):
            assert (await here.read(video_id)).layer == "near"
        assert calls(redis)["mget"] == 1


async def both_read(
    here: Replica, there: Replica, video_id: str
) -> tuple[asyncio.Task[Answer], asyncio.Task[Answer]]:
    """Two reads that miss: ``here`` has the lease and has read the store, ``there`` waits."""
    trap = here.store.has_read["video"].trap()
    first = asyncio.create_task(here.read(video_id))
    await trap.reached()
    second = asyncio.create_task(there.read(video_id))
    await asyncio.sleep(0.03)
    assert not second.done()
    trap.release()
    return first, second


async def test_two_replicas_that_miss_at_once_are_one_read(pair: tuple[Replica, Replica]) -> None:
    """The second finds the lease held, and the value there before its patience ends."""
    here, there = pair
    first, second = await both_read(here, there, await here.create())
    assert (await soon(first)).layer == "store"
    assert (await soon(second)).layer == "redis"
    assert (here.store.calls["video"], there.store.calls["video"]) == (1, 0)


async def test_a_replica_that_waits_takes_the_lease_that_is_given_back(
    pair: tuple[Replica, Replica],
) -> None:
    here, there = pair
    video_id = await here.create()
    here.store.failures["video"] = Unavailable("the store is away")
    failing, waiting = await both_read(here, there, video_id)
    with pytest.raises(Unavailable):
        await soon(failing)
    assert (await soon(waiting)).layer == "store"
    assert (await here.read(video_id)).layer == "redis"  # the waiting reader has filled


async def test_a_replica_that_died_with_a_lease_holds_up_nobody_for_long(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    assert here.redis is not None
    video_id = await here.create()
    key = row_key(video_id)
    lease = await here.redis.lease(key)
    assert isinstance(lease, Lease)
    assert lease.granted  # and now it dies
    began = time.monotonic()
    assert (await there.read(video_id)).layer == "store"
    assert time.monotonic() - began > 0.3
    assert not here.kept(redis, "v", key)  # who had no lease has not filled
    assert 0 < command(redis, "PTTL", here.name("l", key)) <= 2_000  # it was not waited for
    command(redis, "PEXPIRE", here.name("l", key), 1)
    await until(lambda: not here.kept(redis, "l", key))
    assert (await there.read(video_id)).layer == "store"
    assert (await here.read(video_id)).layer == "redis"
    assert not here.kept(redis, "l", key)


async def test_without_redis_reads_go_to_the_store_and_keep_nothing(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with opened(tmp_path, redis) as here:
        assert here.redis is not None
        video_id = await here.create()
        for _ in range(2):
            await here.read(video_id)
        await asyncio.to_thread(redis.stop)
        await until(lambda: here.redis is not None and here.redis.state == "down")
        for _ in range(2):
            assert (await here.read(video_id)).layer == "store"
        assert len(here.near) == 0
        await asyncio.to_thread(redis.start)
        await until(lambda: here.redis is not None and here.redis.state == "up")
        assert (await here.read(video_id)).layer == "store"  # this run has never seen it
        while (await here.read(video_id)).layer != "near":
            pass


async def test_a_value_in_redis_that_is_no_entry_is_a_miss(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await here.create()
    command(redis, "SET", here.name("v", row_key(video_id)), "rubbish")
    assert await here.title(video_id) == "one"
    assert (await here.videos.genre("nowhere")).entry.status == 404
