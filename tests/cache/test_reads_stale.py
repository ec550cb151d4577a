"""What is past its TTL: fresh while the store answers, stale and soon while it does not."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.lab.proxy import Proxy
from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.keys import genre_key, row_key
from cache.reads import GRACE_S, Answer
from db.version import new_id
from db.video import Row
from errors import Late, NotFound, Shed, Unavailable
from priority import urgent
from tests.cache.redis_world import command, until
from tests.cache.store_world import ROW_TTL_S, Replica, opened, soon

STALE_S = 1_000.0


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    """Nothing is near, so that every read is one of Redis."""
    async with (
        opened(tmp_path, redis, near_bytes=0, stale_s=STALE_S) as here,
        opened(tmp_path, redis, near_bytes=0, stale_s=STALE_S) as there,
    ):
        yield here, there


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Replica]:
    async with opened(tmp_path, None, stale_s=STALE_S) as replica:
        yield replica


def packed(redis: RedisServer, replica: Replica, key: str) -> Entry | None:
    found = command(redis, "GET", replica.name("v", key))
    return None if found is None else Entry.unpack(found.encode())


async def make_stale(redis: RedisServer, replica: Replica, key: str, past_s: float = 2.0) -> None:
    """As time does: what Redis has becomes so old that it is ``past_s`` past its TTL."""
    await until(lambda: packed(redis, replica, key) is not None)
    entry = packed(redis, replica, key)
    assert entry is not None
    assert entry.ttl_s is not None
    entry.filled_at = time.time() - entry.ttl_s - past_s
    command(redis, "SET", replica.name("v", key), entry.pack().decode(), "KEEPTTL")


async def stale_row(redis: RedisServer, replica: Replica, past_s: float = 2.0) -> str:
    video_id = await replica.create("one")
    await replica.read(video_id)
    await make_stale(redis, replica, row_key(video_id), past_s)
    replica.store.calls.clear()
    return video_id


def is_fresh(redis: RedisServer, replica: Replica, key: str) -> bool:
    entry = packed(redis, replica, key)
    return entry is not None and entry.is_fresh()


async def test_redis_keeps_what_is_there_past_its_ttl_and_what_is_absent_not(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await here.create()
    await here.read(video_id)
    await here.listed("Drama")
    await here.listed("nowhere")
    for key, least_s in (
        (row_key(video_id), 0.9 * ROW_TTL_S + STALE_S),
        (genre_key("Drama"), STALE_S),
    ):
        await until(lambda key=key: here.kept(redis, "v", key))  # type: ignore[misc]
        assert command(redis, "PTTL", here.name("v", key)) / 1_000 > least_s - 10.0
    await until(lambda: here.kept(redis, "v", genre_key("nowhere")))
    assert command(redis, "PTTL", here.name("v", genre_key("nowhere"))) <= 5_000


async def test_a_stale_row_is_loaded_while_the_store_answers(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await stale_row(redis, here)
    found = await here.read(video_id)
    assert found.layer == "store"
    assert time.time() - found.entry.filled_at < 5.0
    await until(lambda: is_fresh(redis, here, row_key(video_id)))
    assert (await here.read(video_id)).layer == "redis"
    assert here.store.calls["video"] == 1


async def test_a_slow_store_is_asked_once_by_all_replicas_and_nobody_waits_for_it(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    video_id = await stale_row(redis, here)
    there.store.calls.clear()
    traps = [replica.store.has_read["video"].trap() for replica in pair]
    readers = [soon(asyncio.create_task(each.read(video_id))) for each in [*pair] * 20]
    found: list[Answer] = await asyncio.gather(*readers)
    assert {answer.layer for answer in found} == {"stale"}
    assert here.store.calls["video"] + there.store.calls["video"] == 1
    for trap in traps:
        trap.release()
    await until(lambda: is_fresh(redis, here, row_key(video_id)))
    assert (await there.read(video_id)).layer == "redis"
    assert here.store.calls["video"] + there.store.calls["video"] == 1


TOO_OLD_S = GRACE_S + 2.0


@pytest.mark.parametrize("what", ["row", "list"])
async def test_while_the_store_is_up_what_is_too_old_is_waited_for(
    redis: RedisServer,
    pair: tuple[Replica, Replica],
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the reader that refreshes it, and by a reader elsewhere that finds the lease held."""
    here, there = pair
    # A reader that looks just before the fill, and takes the lease just behind it, loads as well.
    # With long pauses no reader does so here.
    monkeypatch.setattr("cache.reads.WAITS_S", (0.5,) * 20)
    monkeypatch.setattr("cache.redis.rows.LEASE_MS", 60_000)
    video_id = await stale_row(redis, here, TOO_OLD_S)
    key, load = row_key(video_id), "video"
    if what == "list":
        key, load = genre_key("Drama"), "genre"
        await here.listed("Drama")
        await make_stale(redis, here, key, TOO_OLD_S)

    async def read(replica: Replica) -> Answer:
        if found := await replica.videos.cached(key):
            return found
        if what == "row":
            return await replica.videos.video(video_id)
        return await replica.videos.genre("Drama")

    there.store.calls.clear()
    trap = here.store.has_read[load].trap()
    readers = [asyncio.create_task(read(here))]
    await trap.reached()
    readers.append(asyncio.create_task(read(there)))
    await asyncio.sleep(0.1)  # longer than a reader waits for a refresh of what is younger
    assert [reader.done() for reader in readers] == [False, False]
    trap.release()
    found = [await soon(reader) for reader in readers]
    assert [answer.layer for answer in found] == ["store", "redis"]
    assert there.store.calls[load] == 0


@pytest.mark.parametrize("error", [Unavailable("away"), Late(), Shed()])
async def test_what_is_too_old_is_served_if_the_load_fails(
    redis: RedisServer, pair: tuple[Replica, Replica], error: Exception
) -> None:
    here, _ = pair
    video_id = await stale_row(redis, here, TOO_OLD_S)
    for replica in pair:
        replica.store.failures["video"] = error
        assert (await replica.read(video_id)).layer == "stale"
        await until(lambda: not here.kept(redis, "l", row_key(video_id)))
    here.store.failures["video"] = RuntimeError("a defect")
    with pytest.raises(RuntimeError):
        await here.read(video_id)


@pytest.mark.parametrize("error", [Unavailable("away"), Late()])
async def test_a_store_that_fails_leaves_the_stale_row_and_is_not_asked_by_every_reader(
    redis: RedisServer, pair: tuple[Replica, Replica], error: Exception
) -> None:
    here, _ = pair
    video_id = await stale_row(redis, here)
    here.store.failures["video"] = error
    assert [(await here.read(video_id)).layer for _ in range(5)] == ["stale"] * 5
    assert here.store.calls["video"] == 1


async def test_a_store_that_is_known_to_be_down_is_not_asked_at_all(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await stale_row(redis, here)
    here.store._health.turn("down", "gone")
    found = await here.videos.cached(row_key(video_id))
    assert found is not None
    assert found.layer == "stale"
    assert not here.kept(redis, "l", row_key(video_id))
    here.store._health.answered()
    assert await here.videos.cached(row_key(video_id)) is None


async def test_a_stale_list_is_served_like_a_row(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await here.create(genre="Drama")
    assert await here.listed("Drama") == [video_id]
    await make_stale(redis, here, genre_key("Drama"))
    here.store.failures["genre"] = Unavailable("away")
    assert await here.listed("Drama") == [video_id]
    del here.store.failures["genre"]
    command(redis, "DEL", here.name("l", genre_key("Drama")))  # as its expiry does
    assert (await here.videos.genre("Drama")).layer == "store"


async def test_a_row_that_is_gone_replaces_the_stale_one(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    video_id = await stale_row(redis, here)
    here.store.failures["video"] = NotFound()
    assert await here.is_absent(video_id)
    await until(lambda: is_fresh(redis, here, row_key(video_id)))
    entry = packed(redis, here, row_key(video_id))
    assert entry is not None
    assert entry.status == 404


async def test_a_refresh_that_a_write_overtook_is_not_kept(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    video_id = await stale_row(redis, here)
    trap = here.store.has_read["video"].trap()
    assert (await here.read(video_id)).layer == "stale"  # its refresh has the old row in hand
    await there.rename(video_id, "two")
    assert await here.title(video_id) == "two"
    trap.release()
    await until(lambda: not here.videos._reads._refreshes._tasks)
    assert await here.title(video_id) == "two"
    assert await there.title(video_id) == "two"


async def test_closing_ends_a_refresh_that_nobody_waits_for(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with opened(tmp_path, redis, near_bytes=0, stale_s=STALE_S) as here:
        video_id = await stale_row(redis, here)
        here.store.has_read["video"].trap()
        assert (await here.read(video_id)).layer == "stale"
        refreshes = list(here.videos._reads._refreshes._tasks)
    assert [task.cancelled() for task in refreshes] == [True]


@pytest.mark.parametrize("past_s", [0.1, 7.0])
async def test_without_redis_nothing_near_is_served_past_its_ttl(
    alone: Replica, past_s: float
) -> None:
    """Another process may have written to the store, and nobody has told this one."""
    video_id = await alone.create("one", genre="A")
    await alone.read(video_id)
    await alone.listed("A")
    for key in (row_key(video_id), genre_key("A")):
        kept = alone.near.get(key)
        assert kept is not None
        kept.expires_at = time.monotonic() - past_s
    alone.store.failures |= {"video": Unavailable("away"), "genre": Late()}
    with pytest.raises(Unavailable):
        await alone.read(video_id)
    with pytest.raises(Late):
        await alone.listed("A")


async def test_a_click_that_joined_a_hover_is_not_shed_with_it(alone: Replica) -> None:
    video_id = await alone.create()
    trap = alone.store.has_read["video"].trap()
    alone.store.failures["video"] = Shed(was_urgent=False)

    async def ask(is_urgent: bool) -> Answer:
        urgent.set(is_urgent)
        return await alone.read(video_id)

    hover = asyncio.create_task(ask(is_urgent=False))
    await trap.reached()
    joined = [asyncio.create_task(ask(is_urgent)) for is_urgent in (True, True, False)]
    await asyncio.sleep(0)
    alone.store.failures.clear()
    trap.release()
    done = await asyncio.gather(hover, *joined, return_exceptions=True)
    assert [type(each) for each in done] == [Shed, Answer, Answer, Shed]
    assert alone.store.calls["video"] == 2

    video_id = await alone.create()
    alone.store.failures["video"] = Shed()
    with pytest.raises(Shed):
        await ask(is_urgent=True)  # its own, once
    assert alone.store.calls["video"] == 3


async def test_a_click_may_join_one_hover_after_another(alone: Replica) -> None:
    """One that comes between the end of a load and the click's next step begins another."""
    video_id = await alone.create()
    first, second = [alone.store.has_read["video"].trap() for _ in range(2)]
    alone.store.failures["video"] = Shed(was_urgent=False)

    async def ask(is_urgent: bool) -> Answer:
        urgent.set(is_urgent)
        return await alone.read(video_id)

    hovers = [asyncio.create_task(ask(is_urgent=False))]
    await first.reached()
    click = asyncio.create_task(ask(is_urgent=True))
    await asyncio.sleep(0)
    first.release()
    hovers.append(asyncio.create_task(ask(is_urgent=False)))
    await second.reached()
    await asyncio.sleep(0.01)
    alone.store.failures.clear()
    second.release()
    done = await asyncio.gather(click, *hovers, return_exceptions=True)
    assert [type(each) for each in done] == [Answer, Shed, Shed]


async def test_while_the_store_is_away_a_redis_that_is_late_is_waited_for(
    redis: RedisServer, tmp_path: Path
) -> None:
    with Proxy(redis.host, redis.port) as line:
        async with opened(
            tmp_path, line, near_bytes=0, stale_s=STALE_S, deadline_s=0.02, hang_s=5.0
        ) as here:
            fresh, stale = [await here.create() for _ in range(2)]
            for video_id in (fresh, stale):
                await here.read(video_id)
            await until(lambda: all(here.kept(redis, "v", row_key(i)) for i in (fresh, stale)))
            await make_stale(redis, here, row_key(stale))
            line.delay(0.04, 0.04)
            here.store.failures["video"] = Unavailable("away")
            assert (await here.read(fresh)).layer == "redis"
            assert (await here.read(stale)).layer == "stale"
            unknown = new_id()
            with pytest.raises(Unavailable):
                await here.read(unknown)
            await until(lambda: not here.kept(redis, "l", row_key(unknown)))


async def test_a_refresh_goes_behind_those_who_have_nothing_yet(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, _ = pair
    seen: list[bool] = []
    video_id = await stale_row(redis, here)
    read = here.store.video

    async def video(video_id: str) -> Row:
        seen.append(urgent.get())
        return await read(video_id)

    here.store.video = video  # type: ignore[method-assign]
    assert (await here.read(video_id)).layer == "store"
    assert (await here.read(await here.create())).layer == "store"
    assert seen == [False, True]


async def test_an_absence_that_has_expired_is_no_last_resort(alone: Replica) -> None:
    absent = new_id()
    assert await alone.is_absent(absent)
    kept = alone.near.get(row_key(absent))
    assert kept is not None
    kept.expires_at = time.monotonic() - 1.0
    alone.store.failures["video"] = Unavailable("away")
    with pytest.raises(Unavailable):
        await alone.read(absent)
