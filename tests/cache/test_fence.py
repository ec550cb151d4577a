"""Writes and the caches: an acknowledged write is never undone, whatever runs beside it.

Each interleaving is one that a wrong order of the steps would lose; traps in the store hold the
steps where they are to be. "Near alone" is a process without Redis.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bench.lab.servers import RedisServer
from cache.keys import genre_key, row_key
from cache.redis.scripts import Intent, Lease
from db.version import Expected
from db.video import Changes
from errors import NotFound, PreconditionFailed
from tests.cache.redis_world import command
from tests.cache.store_world import ANY, Replica, Trap, opened, soon


@pytest.fixture(params=["near alone", "redis", "redis, near off"])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replica]:
    redis = None if request.param == "near alone" else request.getfixturevalue("redis")
    near_bytes = 0 if request.param == "redis, near off" else 1_000_000
    async with opened(tmp_path, redis, near_bytes=near_bytes) as replica:
        yield replica


@pytest.fixture
async def pair(redis: RedisServer, tmp_path: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    async with opened(tmp_path, redis) as one, opened(tmp_path, redis) as other:
        yield one, other


async def warm(replica: Replica, video_id: str) -> None:
    """Into every layer that there is."""
    for _ in range(3):
        await replica.read(video_id)


async def reading(replica: Replica, video_id: str) -> tuple[Trap, asyncio.Task[str]]:
    """A read that has read the store and is slow to say what."""
    trap = replica.store.has_read["video"].trap()
    task = asyncio.create_task(replica.title(video_id))
    await trap.reached()
    return trap, task


async def test_a_write_is_seen_at_once_by_who_wrote(here: Replica) -> None:
    video_id = await here.create("one")
    for title in ("two", "three"):
        await warm(here, video_id)
        await here.rename(video_id, title)
        assert [await here.title(video_id) for _ in range(3)] == [title] * 3
    await here.videos.delete(video_id, ANY)
    assert await here.is_absent(video_id)


async def test_a_read_from_before_a_write_is_not_kept_after_it(here: Replica) -> None:
    video_id = await here.create("one")
    trap, old = await reading(here, video_id)
    await here.rename(video_id, "two")
    trap.release()
    assert await soon(old) == "one"  # it was asked for before the write
    assert [await here.title(video_id) for _ in range(3)] == ["two"] * 3


async def test_who_asks_after_a_write_does_not_join_a_read_from_before_it(here: Replica) -> None:
    video_id = await here.create("one")
    trap, old = await reading(here, video_id)
    await here.rename(video_id, "two")
    assert await soon(asyncio.create_task(here.title(video_id))) == "two"
    trap.release()
    await soon(old)
    assert await here.title(video_id) == "two"


@pytest.mark.parametrize("step", ["before the row is written", "after the row is written"])
async def test_a_read_from_within_a_write_is_not_kept_after_it(here: Replica, step: str) -> None:
    video_id = await here.create("one")
    await warm(here, video_id)
    gate = here.store.writes if step.startswith("before") else here.store.has_written
    writing = gate.trap()
    write = asyncio.create_task(here.rename(video_id, "two"))
    await writing.reached()
    trap, read = await reading(here, video_id)  # nothing is cached any more: it has to load
    writing.release()
    await soon(write)
    trap.release()
    await soon(read)
    assert [await here.title(video_id) for _ in range(3)] == ["two"] * 3


async def test_a_read_that_ends_within_a_write_is_not_found_after_it(here: Replica) -> None:
    video_id = await here.create("one")
    writing = here.store.writes.trap()
    write = asyncio.create_task(here.rename(video_id, "two"))
    await writing.reached()
    assert [await here.title(video_id) for _ in range(3)] == ["one"] * 3
    writing.release()
    await soon(write)
    assert [await here.title(video_id) for _ in range(3)] == ["two"] * 3


async def test_two_writers_do_not_lift_each_others_fence(here: Replica) -> None:
    video_id = await here.create("one")
    slow = here.store.has_written.trap()
    first = asyncio.create_task(here.rename(video_id, "two"))
    await slow.reached()
    await here.rename(video_id, "three")
    trap, read = await reading(here, video_id)
    slow.release()
    await soon(first)
    trap.release()
    assert await soon(read) == "three"
    assert await here.title(video_id) == "three"
    await here.rename(video_id, "four")
    assert [await here.title(video_id) for _ in range(3)] == ["four"] * 3


async def test_a_write_whose_caller_goes_away_is_a_complete_write(here: Replica) -> None:
    video_id = await here.create("one")
    await warm(here, video_id)
    for gate, title in ((here.store.writes, "two"), (here.store.has_written, "three")):
        writing = gate.trap()
        write = asyncio.create_task(here.rename(video_id, title))
        await writing.reached()
        trap, read = await reading(here, video_id)
        write.cancel()
        await asyncio.wait([write])
        assert write.cancelled()
        writing.release()
        await soon(asyncio.create_task(here.videos.close()))  # waits for what is under way
        trap.release()
        await soon(read)
        assert [await here.title(video_id) for _ in range(3)] == [title] * 3
    if here.redis is not None:
        await warm(here, video_id)
        assert (await here.videos.cached(row_key(video_id))) is not None


@pytest.mark.parametrize("what", ["absent", "out of date"])
async def test_a_write_that_is_refused_leaves_no_fence(here: Replica, what: str) -> None:
    video_id = await here.create("one")
    if what == "absent":
        await here.videos.delete(video_id, ANY)
        with pytest.raises(NotFound, match="nonexistent"):
            await here.rename(video_id, "two")
        with pytest.raises(NotFound, match="nonexistent"):
            await here.videos.delete(video_id, ANY)
        assert await here.is_absent(video_id)
    else:
        stale = Expected("")
        with pytest.raises(PreconditionFailed):
            await here.videos.update(video_id, Changes({"title": "two"}), stale)
        with pytest.raises(PreconditionFailed):
            await here.videos.delete(video_id, stale)
        await warm(here, video_id)
        assert await here.videos.cached(row_key(video_id)) is not None  # filled: not fenced


async def test_a_negative_entry_ends_when_the_row_is_made(here: Replica) -> None:
    video_id = "0f8fad5b-d9cb-569f-a165-70867728950e"
    for _ in range(3):
        assert await here.is_absent(video_id)
    assert here.store.calls["video"] == 1  # it is known to be absent
    await here.create("one", video_id=video_id)
    assert [await here.title(video_id) for _ in range(3)] == ["one"] * 3


async def test_an_absence_read_before_the_row_was_made_is_not_kept(here: Replica) -> None:
    video_id = "0f8fad5b-d9cb-569f-a165-70867728950e"
    trap = here.store.has_read["video"].trap()
    read = asyncio.create_task(here.is_absent(video_id))
    await trap.reached()
    await here.create("one", video_id=video_id)
    trap.release()
    assert await soon(read)
    assert [await here.title(video_id) for _ in range(3)] == ["one"] * 3


async def test_lists_follow_every_write(here: Replica) -> None:
    async def lists() -> list[list[str]]:
        for _ in range(3):
            found = [await here.listed(genre) for genre in ("A", "B", "C/D")]
        return found

    assert await lists() == [[], [], []]
    one = await here.create(genre="A")
    assert await lists() == [[one], [], []]
    two = await here.create(genre="A", genres=["A", "B"])
    assert await lists() == [[two, one], [two], []]
    await here.videos.update(one, Changes({"genres": ["C/D"]}), ANY)
    assert await lists() == [[two], [two], [one]]
    await here.videos.delete(two, ANY)
    assert await lists() == [[], [], [one]]


async def test_a_write_that_leaves_the_genres_leaves_the_lists(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    here, there = pair
    video_id = await here.create("one", genre="A")
    for replica in pair * 2:
        assert await replica.listed("A") == [video_id]
        assert await replica.videos.genres.names() == ["A"]
    before = [replica.store.calls["genre"] + replica.store.calls["genres"] for replica in pair]
    await here.rename(video_id, "two")
    assert there.kept(redis, "v", genre_key("A"))
    for replica in pair:
        assert replica.near.get(genre_key("A")) is not None
        assert await replica.listed("A") == [video_id]
        assert await replica.videos.genres.names() == ["A"]
        assert await replica.title(video_id) == "two"
    after = [replica.store.calls["genre"] + replica.store.calls["genres"] for replica in pair]
    assert after == before


@pytest.mark.parametrize("what", ["create", "delete", "update"])
async def test_a_list_from_before_a_write_is_not_kept_after_it(here: Replica, what: str) -> None:
    one = await here.create(genre="A")
    trap = here.store.has_read["genre"].trap()
    old = asyncio.create_task(here.listed("A"))
    await trap.reached()
    if what == "create":
        await here.create(genre="A")
    elif what == "delete":
        await here.videos.delete(one, ANY)
    else:
        await here.videos.update(one, Changes({"genres": ["B"]}), ANY)
    trap.release()
    assert await soon(old) == [one]
    for _ in range(3):
        assert await here.listed("A") != [one]


async def test_genres_that_another_writer_gave_a_row_meanwhile_are_forgotten_too(
    redis: RedisServer, pair: tuple[Replica, Replica]
) -> None:
    """What a write touches is known for certain only once it is done."""
    here, there = pair
    video_id = await here.create(genre="A")
    writing = here.store.writes.trap()
    delete = asyncio.create_task(here.videos.delete(video_id, ANY))
    await writing.reached()
    await there.videos.update(video_id, Changes({"genres": ["B"]}), ANY)
    assert await there.listed("B") == await there.listed("B") == [video_id]
    assert there.kept(redis, "v", genre_key("B"))
    writing.release()
    await soon(delete)
    assert not there.kept(redis, "v", genre_key("B"))
    assert await here.listed("B") == []


async def test_no_intent_is_left_behind(redis: RedisServer, pair: tuple[Replica, Replica]) -> None:
    here, there = pair
    video_id = await here.create(genre="A")
    await asyncio.gather(here.rename(video_id, "two"), there.rename(video_id, "three"))
    await there.videos.update(video_id, Changes({"genres": ["B"]}), ANY)
    await here.videos.delete(video_id, ANY)
    assert command(redis, "KEYS", "content:*:i:*") == []
    assert command(redis, "KEYS", "content:*:l:*") == []


async def test_a_load_that_the_end_of_a_write_has_overtaken_gives_its_lease_back(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settling came before the lease, and did not delete it; its reply came during the load."""
    async with opened(tmp_path, redis) as here:
        assert here.redis is not None
        settle, begun = here.redis.settle, []
        video_id = await here.create("one")

        async def settle_slowly(keys: Sequence[str], intent: Intent) -> bool:
            done = await settle(keys, intent)
            begun.append(await reading(here, video_id))
            return done

        monkeypatch.setattr(here.redis, "settle", settle_slowly)
        await here.rename(video_id, "two")
        ((trap, overtaken),) = begun
        assert here.kept(redis, "l", row_key(video_id))
        trap.release()
        assert await soon(overtaken) == "two"
        lease = await here.redis.lease(row_key(video_id))  # behind the release on the connection
        assert isinstance(lease, Lease)
        assert lease.granted
