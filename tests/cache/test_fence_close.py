"""An orderly end: what a write that is under way leaves in Redis, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer
from cache import fence
from cache.keys import genre_key, row_key
from db.video import Changes
from errors import OutcomeUnknown
from tests.cache.redis_world import command, until
from tests.cache.store_world import ANY, Replica, Trap, opened, soon


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    async with opened(tmp_path, redis) as one, opened(tmp_path, redis) as other:
        yield one, other


def left_s(redis: RedisServer, replica: Replica, key: str) -> float:
    """How long the newest intent on ``key`` still stands."""
    scores = command(redis, "ZRANGE", replica.name("i", key), 0, -1, "WITHSCORES")[1::2]
    seconds, micros = map(int, command(redis, "TIME"))
    return max(map(float, scores), default=0.0) / 1_000 - seconds - micros / 1e6


async def writing(
    replica: Replica, what: str, video_id: str
) -> tuple[Trap, asyncio.Task[object], asyncio.Task[object]]:
    """A trapped write, its task, and the task of the store's part of it.

    The store goes on with it, however its caller ends, as CassandraStore does.
    """
    trap = replica.store.writes.trap()
    store = getattr(replica.store, what)
    stored: asyncio.Future[asyncio.Task[object]] = asyncio.get_running_loop().create_future()

    async def whole(*values: object) -> object:
        stored.set_result(asyncio.create_task(store(*values)))
        return await asyncio.shield(stored.result())

    setattr(replica.store, what, whole)

    async def write() -> object:
        if what == "create":
            return await replica.create("two", genre="A", video_id=video_id)
        if what == "delete":
            return await replica.videos.delete(video_id, ANY)
        return await replica.videos.update(
            video_id, Changes({"title": "two", "genres": ["A"]}), ANY
        )

    task = asyncio.create_task(write())
    await trap.reached()
    return trap, task, await stored


@pytest.mark.parametrize("what", ["create", "update", "delete"])
async def test_an_orderly_end_leaves_the_intent_of_a_write_under_way(
    redis: RedisServer,
    pair: tuple[Replica, Replica],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    monkeypatch.setattr(fence, "CLOSE_S", 0.05)
    here, there = pair
    video_id = await here.create("one", genre="A")
    if what == "create":
        await here.videos.delete(video_id, ANY)
    keys = [row_key(video_id), genre_key("A")]
    trap, write, stored = await writing(here, what, video_id)
    await here.videos.close()
    with pytest.raises(asyncio.CancelledError):
        await soon(write)
    for key in keys:
        assert left_s(redis, here, key) > 5.0
    before = await there.is_absent(video_id) if what == "create" else await there.title(video_id)
    assert before == (True if what == "create" else "one")
    await there.listed("A")
    trap.release()
    await soon(stored)
    for key in keys:
        assert not there.kept(redis, "v", key)
    if what == "delete":
        assert await there.is_absent(video_id)
        assert await there.listed("A") == []
    else:
        assert await there.title(video_id) == "two"
        assert await there.listed("A") == [video_id]


async def test_an_orderly_end_waits_for_a_write_that_is_nearly_done(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    video_id = await here.create("one", genre="A")
    trap, write, _ = await writing(here, "update", video_id)
    closing = asyncio.create_task(here.videos.close())
    await asyncio.sleep(0.05)
    trap.release()
    await soon(closing)
    await soon(write)
    assert not here.kept(redis, "i", row_key(video_id))
    assert await there.title(video_id) == "two"


async def test_an_error_that_nobody_foresaw_leaves_the_intent(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await here.create("one")
    here.store.failures["update"] = RuntimeError("a defect, after the row was written")
    with pytest.raises(RuntimeError):
        await here.rename(video_id, "two")
    assert left_s(redis, here, row_key(video_id)) > 5.0
    assert await here.title(video_id) == "two"


@pytest.mark.parametrize("ends", ["the fence", "the store"])
async def test_an_unknown_outcome_that_is_given_up_leaves_an_intent(
    redis: RedisServer,
    pair: tuple[Replica, Replica],
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
) -> None:
    monkeypatch.setattr(fence, "CLOSE_S", 0.05)
    here, _ = pair
    video_id = await here.create("one")
    key = row_key(video_id)
    settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    here.store.failures["update"] = OutcomeUnknown(settled)
    with pytest.raises(OutcomeUnknown):
        await here.rename(video_id, "two")
    command(redis, "DEL", here.name("i", key))  # as its expiry does, while the store still asks
    if ends == "the fence":
        await here.videos.close()
    else:
        settled.cancel()
    await until(lambda: left_s(redis, here, key) > 5.0)
