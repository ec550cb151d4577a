"""Several rows at once: near, one MGET, one pass over the store, each row as if it were alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from bench.lab.servers import RedisServer
from cache.keys import row_key
from cache.store import joined
from db.version import new_id
from errors import Late, Unavailable
from tests.cache.redis_world import calls, command, until
from tests.cache.store_world import Replica, opened, soon
from tests.cache.test_reads_stale import STALE_S, TOO_OLD_S, make_stale


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    async with (
        opened(tmp_path, redis, stale_s=STALE_S) as here,
        opened(tmp_path, redis, near_bytes=0, stale_s=STALE_S) as there,
    ):
        yield here, there


async def layers(replica: Replica, ids: list[str]) -> list[str]:
    return [answer.layer for answer in await replica.videos.videos(ids)]


async def test_each_row_comes_from_the_first_layer_that_has_it(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    near, in_redis, stored = [await here.create() for _ in range(3)]
    await there.read(near)
    await there.read(in_redis)
    await until(lambda: here.kept(redis, "v", row_key(near)))
    await until(lambda: here.kept(redis, "v", row_key(in_redis)))
    assert (await here.read(near)).layer == "redis"
    assert (await here.read(near)).layer == "near"
    absent = new_id()
    ids = [stored, near, absent, in_redis]
    command(redis, "CONFIG", "RESETSTAT")
    assert await layers(here, ids) == ["store", "near", "store", "redis"]
    assert calls(redis)["mget"] == 1
    await until(lambda: here.kept(redis, "v", row_key(absent)))
    assert await layers(here, ids) == ["redis", "near", "redis", "near"]
    assert await layers(here, ids) == ["near"] * 4
    assert calls(redis)["mget"] == 2


async def test_all_misses_are_loaded_at_once_and_each_is_loaded_once(
    pair: tuple[Replica, Replica],
) -> None:
    here, _ = pair
    ids = [await here.create() for _ in range(10)]
    traps = [here.store.has_read["video"].trap() for _ in ids]
    pages = [asyncio.create_task(here.videos.videos(part)) for part in (ids, ids[::-1], ids[3:])]
    for trap in traps:
        await trap.reached()  # the tenth is asked for while the first is not there yet
    flight, _ = here.videos._reads._flights._flights[row_key(ids[5])]
    waiting = len(flight.ended._waiters)
    alone = asyncio.create_task(here.read(ids[5]))
    await until(lambda: len(flight.ended._waiters) > waiting)
    for trap in traps:
        trap.release()
    found = await soon(asyncio.gather(*pages))
    assert here.store.calls["video"] == 10
    assert {answer.layer for answer in found[0]} == {"store"}
    assert {answer.layer for page in found[1:] for answer in page} == {"collapsed"}
    assert (await soon(alone)).layer == "collapsed"


async def test_a_row_that_a_write_has_overtaken_is_not_filled(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    ids = [await here.create("one") for _ in range(2)]
    traps = [here.store.has_read["video"].trap() for _ in ids]
    page = asyncio.create_task(here.videos.videos(ids))
    for trap in traps:
        await trap.reached()
    await there.rename(ids[1], "two")
    for trap in traps:
        trap.release()
    await soon(page)
    await until(lambda: here.kept(redis, "v", row_key(ids[0])))
    assert not here.kept(redis, "v", row_key(ids[1]))
    titles = [
        orjson.loads(each.entry.body)["data"]["title"] for each in await there.videos.videos(ids)
    ]
    assert titles == ["one", "two"]


@pytest.mark.parametrize("error", [Unavailable("away"), Late("late")])
async def test_if_one_load_fails_so_does_the_whole_read(
    pair: tuple[Replica, Replica], error: Exception
) -> None:
    here, _ = pair
    ids = [await here.create() for _ in range(3)]
    await here.read(ids[0])
    here.store.failures["video"] = error
    with pytest.raises(type(error)):
        await here.videos.videos(ids)
    await until(lambda: len(here.videos._reads._flights) == 0)
    here.store.failures.clear()
    assert len(await here.videos.videos(ids)) == 3


async def test_stale_rows_are_served_while_the_store_fails_and_say_so(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    _, there = pair
    ids = [await there.create() for _ in range(3)]
    await there.videos.videos(ids)
    await make_stale(redis, there, row_key(ids[0]), TOO_OLD_S)
    await make_stale(redis, there, row_key(ids[2]), 3 * TOO_OLD_S)
    there.store.failures["video"] = Unavailable("away")
    answers = await there.videos.videos(ids)
    assert [answer.layer for answer in answers] == ["stale", "redis", "stale"]
    found = joined(ids, answers)
    assert found.layer == "stale"
    assert (found.entry.filled_at, found.entry.ttl_s) == (
        answers[2].entry.filled_at,
        answers[2].entry.ttl_s,
    )


async def test_a_cancelled_reader_of_several_stops_no_load(pair: tuple[Replica, Replica]) -> None:
    here, _ = pair
    ids = [await here.create() for _ in range(2)]
    traps = [here.store.has_read["video"].trap() for _ in ids]
    page = asyncio.create_task(here.videos.videos(ids))
    for trap in traps:
        await trap.reached()
    page.cancel()
    await asyncio.wait([page])
    alone = asyncio.create_task(here.read(ids[0]))
    for trap in traps:
        trap.release()
    await soon(alone)
    await until(lambda: len(here.videos._reads._flights) == 0)
    assert set(await layers(here, ids)) <= {"near", "redis"}
    assert here.store.calls["video"] == 2


async def test_without_redis_several_rows_are_loaded_and_near_from_then_on(tmp_path: Path) -> None:
    async with opened(tmp_path, None) as alone:
        ids = [await alone.create() for _ in range(3)]
        assert await layers(alone, ids) == ["store"] * 3
        assert await layers(alone, ids) == ["near"] * 3
