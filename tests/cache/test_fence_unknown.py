"""Writes whose outcome nobody knows, and what is fenced before anything is written."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.keys import genre_key, row_key
from db.version import new_id
from db.video import Changes
from errors import Late, OutcomeUnknown
from tests.cache.redis_world import command, until
from tests.cache.store_world import ANY, Replica, opened, soon


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    async with opened(tmp_path, redis) as one, opened(tmp_path, redis) as other:
        yield one, other


async def near(replica: Replica, video_id: str) -> None:
    """Reads until it is near: a fill, and the push that it causes, may be a moment late."""
    for _ in range(200):
        if (await replica.read(video_id)).layer == "near":
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never was near")


@pytest.mark.parametrize("what", ["create", "update", "delete"])
async def test_everything_that_a_write_may_touch_is_fenced_before_it(
    redis: RedisServer, pair: tuple[Replica, Replica], what: str
) -> None:
    """Or a writer that dies in the middle would leave what was filled from before it."""
    here, _ = pair
    video_id = await here.create("one", genre="A")
    writing = here.store.writes.trap()
    if what == "create":
        video_id = new_id()
        write = asyncio.create_task(_write(here.create("two", genres=["B"], video_id=video_id)))
    elif what == "update":
        changes = Changes({"genres": ["B"]})
        write = asyncio.create_task(_write(here.videos.update(video_id, changes, ANY)))
    else:
        write = asyncio.create_task(_write(here.videos.delete(video_id, ANY)))
    await writing.reached()
    fenced = {genre for genre in "ABC" if here.kept(redis, "i", genre_key(genre))}
    assert fenced == {"create": {"B"}, "update": {"A", "B"}, "delete": {"A"}}[what]
    assert here.kept(redis, "i", row_key(video_id))
    writing.release()
    await soon(write)


async def _write(work: Awaitable[object]) -> None:
    await work


@pytest.mark.parametrize("wrote", [True, False])
async def test_a_write_of_unknown_outcome_is_fenced_until_the_store_knows(
    redis: RedisServer, pair: tuple[Replica, Replica], wrote: bool
) -> None:
    here, there = pair
    video_id = await here.create("one", genre="A")
    keys = [row_key(video_id), genre_key("A")]
    await near(there, video_id)
    settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # before or after it was written: the same to whoever waits
    here.store.failures["update" if wrote else "before update"] = OutcomeUnknown(settled)
    changes = Changes({"title": "two", "genres": ["A"]})
    with pytest.raises(OutcomeUnknown) as unknown:
        await here.videos.update(video_id, changes, ANY)
    assert isinstance(unknown.value, Late)
    assert unknown.value.status == 504
    for replica in pair * 2:
        assert (await replica.read(video_id)).layer == "store"
    assert [here.kept(redis, "v", key) for key in keys] == [False, False]
    assert [here.kept(redis, "i", key) for key in keys] == [True, True]
    trap = there.store.has_read["video"].trap()
    old = asyncio.create_task(there.read(video_id))
    await trap.reached()
    settled.set_result(None)
    await until(lambda: not here.kept(redis, "i", keys[0]))
    trap.release()
    await soon(old)
    assert not here.kept(redis, "v", keys[0])  # read before the store knew: not to be trusted
    assert await there.title(video_id) == ("two" if wrote else "one")
    await near(there, video_id)


async def test_a_write_whose_outcome_the_store_never_learns_stays_fenced(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    """The store may still finish it, so fills are blocked for another whole intent."""
    here, there = pair
    video_id = await here.create("one", genre="A")
    name = here.name("i", row_key(video_id))
    settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    here.store.failures["before update"] = OutcomeUnknown(settled)
    with pytest.raises(OutcomeUnknown):
        await here.videos.update(video_id, Changes({"title": "two"}), ANY)
    (first,) = command(redis, "ZRANGE", name, 0, -1)
    settled.set_exception(Late())
    await until(lambda: len(command(redis, "ZRANGE", name, 0, -1)) != 1)
    assert first in command(redis, "ZRANGE", name, 0, -1)
    assert (await there.read(video_id)).layer == "store"
    assert not there.kept(redis, "v", row_key(video_id))


async def test_a_write_of_unknown_outcome_without_redis_is_not_kept_either(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as here:
        video_id = await here.create("one")
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        here.store.failures["update"] = OutcomeUnknown(settled)
        writing = here.store.writes.trap()
        write = asyncio.create_task(here.rename(video_id, "two"))
        await writing.reached()
        assert await here.title(video_id) == "one"
        writing.release()
        with pytest.raises(OutcomeUnknown):
            await soon(write)
        here.near.put(row_key(video_id), Entry(b"from before", b'"x"', time.time()))
        settled.set_result(None)
        await here.videos.close()
        assert here.near.get(row_key(video_id)) is None
        assert await here.title(video_id) == "two"
