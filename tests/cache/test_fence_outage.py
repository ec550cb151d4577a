"""Writes when something breaks in the middle of one: who dies, what is lost, what nobody knows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer
from cache import fence
from cache.keys import row_key
from db.version import new_id
from errors import OutcomeUnknown, Unavailable
from tests.cache.redis_world import BOUND_S, command, until
from tests.cache.store_world import ANY, Replica, opened, soon


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    async with opened(tmp_path, redis) as one, opened(tmp_path, redis) as other:
        yield one, other


def state(replica: Replica) -> str:
    assert replica.redis is not None
    return replica.redis.state


async def near(replica: Replica, video_id: str) -> None:
    """Reads until it is near: a fill, and the push that it causes, may be a moment late."""
    for _ in range(200):
        if (await replica.read(video_id)).layer == "near":
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never was near")


async def test_a_writer_that_died_with_an_intent_stops_fills_but_no_reads(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    assert here.redis is not None
    video_id = await here.create("one")
    key = row_key(video_id)
    await near(there, video_id)
    await here.redis.intend([key])  # and now it dies
    await until(lambda: there.near.get(key) is None)
    for _ in range(3):
        assert (await there.read(video_id)).layer == "store"
    assert not there.kept(redis, "v", key)
    ((_, score),) = [command(redis, "ZRANGE", here.name("i", key), 0, -1, "WITHSCORES")]
    seconds, micros = map(int, command(redis, "TIME"))
    left_s = float(score) / 1_000 - (seconds + micros / 1e6)
    assert 5.0 < left_s <= 10.0  # the bound on what a dead writer can do
    assert 5.0 < command(redis, "PTTL", here.name("i", key)) / 1_000 <= 10.0
    past = int((seconds - 1) * 1_000)
    command(redis, "ZADD", here.name("i", key), "XX", past, _token(redis, here, key))
    assert (await there.read(video_id)).layer == "store"
    await near(there, video_id)


def _token(redis: RedisServer, replica: Replica, key: str) -> str:
    (token,) = command(redis, "ZRANGE", replica.name("i", key), 0, -1)
    return str(token)


async def test_while_redis_is_away_nothing_is_written(redis: RedisServer, tmp_path: Path) -> None:
    async with opened(tmp_path, redis, write_deadline_s=0.1) as here:
        video_id = await here.create("one")
        await asyncio.to_thread(redis.stop)
        await until(lambda: state(here) == "down")
        before = here.store.calls.copy()
        writes = here.rename(video_id, "two"), here.videos.delete(video_id, ANY), here.create("3")
        for write in writes:
            with pytest.raises(Unavailable):
                await write
        written = here.store.calls - before
        assert written.keys() <= {"video"}
        assert await here.title(video_id) == "one"


async def test_a_redis_that_hangs_when_a_write_begins_stops_it(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with opened(tmp_path, redis, write_deadline_s=0.1) as here:
        video_id = await here.create("one")
        redis.pause()
        with pytest.raises(Unavailable):
            await here.rename(video_id, "two")
        assert here.store.calls["update"] == 0
        redis.resume()
        await until(lambda: state(here) == "up")
        # the intent was on the wire all the same, and is lifted by who had given up
        await until(lambda: not command(redis, "KEYS", "content:*:i:*"))
        await here.rename(video_id, "three")
        assert await here.title(video_id) == "three"


@pytest.mark.parametrize("what", ["rename", "delete"])
async def test_a_redis_lost_within_a_write_makes_its_outcome_unknown_until_it_is_back(
    redis: RedisServer, pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(fence, "END_S", 0.1)
    here, there = pair
    video_id = await here.create("one")
    key = row_key(video_id)
    await near(there, video_id)
    writing = here.store.writes.trap()
    change = here.rename(video_id, "two") if what == "rename" else here.videos.delete(video_id, ANY)
    write = asyncio.create_task(change)
    await writing.reached()
    await asyncio.to_thread(redis.stop)
    await until(lambda: (state(here), state(there)) == ("down", "down"))
    writing.release()
    with pytest.raises(OutcomeUnknown) as unknown:
        await soon(write)
    assert not unknown.value.settled.done()
    await asyncio.to_thread(redis.start)
    await until(lambda: (state(here), state(there)) == ("up", "up"))
    await soon(unknown.value.settled)
    assert not here.kept(redis, "v", key)
    assert not here.kept(redis, "i", key)
    if what == "rename":
        assert await there.title(video_id) == await here.title(video_id) == "two"
    else:
        assert await there.is_absent(video_id)
        assert await here.is_absent(video_id)


async def test_what_a_new_run_was_filled_with_meanwhile_is_deleted(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    """A Redis that restarts within a write has forgotten its intent; the end still deletes."""
    here, there = pair
    video_id = await here.create("one")
    key = row_key(video_id)
    writing = here.store.writes.trap()
    write = asyncio.create_task(here.rename(video_id, "two"))
    await writing.reached()
    await asyncio.to_thread(redis.restart)
    await until(lambda: (state(here), state(there)) == ("up", "up"))
    await near(there, video_id)
    assert there.kept(redis, "v", key)
    writing.release()
    await soon(write)
    assert not there.kept(redis, "v", key)
    await until(lambda: there.near.get(key) is None)
    assert await there.title(video_id) == "two"


async def test_a_process_that_is_told_to_end_does_not_wait_for_a_redis_that_is_gone(
    redis: RedisServer, pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence, "END_S", 0.1)
    monkeypatch.setattr(fence, "CLOSE_S", 0.1)
    here, _ = pair
    video_id = await here.create("one")
    writing = here.store.writes.trap()
    write = asyncio.create_task(here.rename(video_id, "two"))
    await writing.reached()
    await asyncio.to_thread(redis.stop)
    await until(lambda: state(here) == "down")
    writing.release()
    with pytest.raises(OutcomeUnknown):
        await soon(write)
    try:
        await asyncio.wait_for(here.videos.close(), BOUND_S)
    finally:
        await asyncio.to_thread(redis.start)


async def test_a_post_is_seen_at_once_where_its_absence_was_known(
    pair: tuple[Replica, Replica],
) -> None:
    here, there = pair
    video_id = new_id("a key")
    for replica in pair * 2:
        assert await replica.is_absent(video_id)
    await here.create("one", video_id=video_id)
    assert await here.title(video_id) == "one"
    await until(lambda: there.near.get(row_key(video_id)) is None)  # the push
    assert await there.title(video_id) == "one"
