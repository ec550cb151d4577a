"""The list of genres and what ``/home`` is made of: read behind the callers' backs, never twice."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from api.home import HOME_GENRES, Home
from cache.keys import genre_key
from cache.reads import GRACE_S, LIST_TTL_S
from db.video import Changes
from errors import Late, Unavailable
from tests.cache.redis_world import until
from tests.cache.store_world import ANY, Replica, opened, soon


@pytest.fixture(params=["near alone", "redis"])
async def here(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replica]:
    redis = request.getfixturevalue("redis") if request.param == "redis" else None
    async with opened(tmp_path, redis) as replica:
        yield replica


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Replica]:
    async with opened(tmp_path, None) as replica:
        yield replica


def make_older(replica: Replica, seconds: float) -> None:
    replica.videos.genres._read_at -= seconds


async def test_the_list_is_read_once_for_all_who_wait_for_it(alone: Replica) -> None:
    await alone.create(genre="A")
    found = await asyncio.gather(*(alone.videos.genres.names() for _ in range(100)))
    assert found == [["A"]] * 100
    assert await alone.videos.genres.names() == ["A"]
    assert alone.store.calls["genres"] == 1


async def test_a_list_that_is_not_fresh_is_read_again_behind_the_callers_back(
    alone: Replica,
) -> None:
    await alone.create(genre="A")
    await alone.videos.genres.names()
    async with opened(_folder(alone), None) as loader:  # whose writes nobody here is told of
        await loader.create(genre="B")
    make_older(alone, LIST_TTL_S - 1)
    assert await alone.videos.genres.names() == ["A"]
    assert alone.store.calls["genres"] == 1
    make_older(alone, 2)
    trap = alone.store.has_read["genres"].trap()
    assert [await alone.videos.genres.names() for _ in range(3)] == [["A"]] * 3  # nobody waits
    await trap.reached()
    assert await alone.videos.genres.names() == ["A"]
    trap.release()
    await until(lambda: alone.videos.genres._names == ["A", "B"])
    assert await alone.videos.genres.names() == ["A", "B"]
    assert alone.store.calls["genres"] == 2


async def test_a_list_that_is_too_old_is_waited_for(alone: Replica) -> None:
    await alone.create(genre="A")
    await alone.videos.genres.names()
    async with opened(_folder(alone), None) as loader:
        await loader.create(genre="B")
    make_older(alone, LIST_TTL_S + GRACE_S + 1)
    assert await alone.videos.genres.names() == ["A", "B"]
    assert alone.store.calls["genres"] == 2


def _folder(replica: Replica) -> Path:
    return Path(replica.store._path).parent


async def test_who_wrote_sees_its_genre_at_once(here: Replica) -> None:
    assert await here.videos.genres.names() == []
    one = await here.create(genre="A")
    assert await here.videos.genres.names() == ["A"]
    await here.videos.update(one, Changes({"genres": ["B"]}), ANY)
    assert await here.videos.genres.names() == ["B"]
    await here.videos.delete(one, ANY)
    assert await here.videos.genres.names() == ["B"]  # until the list is read again
    assert await home(here) == {}
    make_older(here, LIST_TTL_S + GRACE_S + 1)
    assert await here.videos.genres.names() == []


async def test_a_write_to_genres_that_there_are_holds_up_nobody(here: Replica) -> None:
    await here.create(genre="A")
    assert await here.videos.genres.names() == ["A"]
    two = await here.create(genre="A")
    await here.videos.update(two, Changes({"title": "three"}), ANY)
    await here.videos.delete(two, ANY)
    assert await here.videos.genres.names() == ["A"]
    assert here.store.calls["genres"] == 1


async def test_a_list_that_was_read_before_a_write_is_not_kept_after_it(alone: Replica) -> None:
    await alone.create(genre="A")
    trap = alone.store.has_read["genres"].trap()
    old = asyncio.create_task(alone.videos.genres.names())
    await trap.reached()
    await alone.create(genre="B")
    assert await alone.videos.genres.names() == ["A", "B"]
    trap.release()
    assert await soon(old) == ["A"]
    assert await alone.videos.genres.names() == ["A", "B"]


async def test_a_genre_that_comes_back_during_a_read_is_seen_at_once(alone: Replica) -> None:
    one = await alone.create(genre="A")
    assert await alone.videos.genres.names() == ["A"]
    await alone.videos.delete(one, ANY)
    make_older(alone, LIST_TTL_S + 1)
    trap = alone.store.has_read["genres"].trap()
    await alone.videos.genres.names()
    await trap.reached()  # it has seen that A is gone
    await alone.create(genre="A")
    trap.release()
    await until(lambda: len(alone.videos.genres._flight) == 0)
    assert await alone.videos.genres.names() == ["A"]


async def test_an_error_behind_the_callers_back_keeps_the_list_and_is_no_noise(
    alone: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    await alone.create(genre="A")
    await alone.videos.genres.names()
    alone.store.failures["genres"] = Unavailable("the store is away")
    make_older(alone, LIST_TTL_S + 1)
    assert await alone.videos.genres.names() == ["A"]
    await until(lambda: alone.store.calls["genres"] == 2)
    await until(lambda: len(alone.videos.genres._flight) == 0)
    assert await alone.videos.genres.names() == ["A"]
    await until(lambda: alone.store.calls["genres"] == 3)
    gc.collect()
    assert [text for text in caplog.messages if "never retrieved" in text] == []


async def test_while_the_store_is_away_an_old_list_is_better_than_none(alone: Replica) -> None:
    await alone.create(genre="A")
    await alone.videos.genres.names()
    alone.store.failures["genres"] = Unavailable("the store is away")
    make_older(alone, LIST_TTL_S + GRACE_S + 1)
    assert await alone.videos.genres.names() == ["A"]


@pytest.mark.parametrize("ends", ["late", "failed", "in time"])
async def test_a_list_that_is_too_old_is_served_only_if_the_read_fails(
    alone: Replica, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    if ends == "late":
        monkeypatch.setattr("cache.genres.PATIENCE_S", 0.05)
    await alone.create(genre="A")
    await alone.videos.genres.names()
    async with opened(_folder(alone), None) as loader:
        await loader.create(genre="B")
    make_older(alone, LIST_TTL_S + GRACE_S + 1)
    if ends == "failed":
        alone.store.failures["genres"] = Late()
    trap = alone.store.has_read["genres"].trap()
    reading = asyncio.create_task(alone.videos.genres.names())
    await trap.reached()
    await asyncio.sleep(0.2)
    assert reading.done() == (ends == "late")
    trap.release()
    assert await soon(reading) == (["A", "B"] if ends == "in time" else ["A"])


async def home(replica: Replica) -> dict[str, list[str]]:
    """What ``/home`` answers: ids by genre. Returns once Redis has told of every fill, because it
    tells of one behind the reply to a read that it got together with the fill."""
    page = _lists(await Home(replica.videos).page())
    for _ in range(3):  # a script that was not known is sent again
        if replica.redis is not None:
            await replica.redis.get("nothing")
    return page


def near_home(replica: Replica) -> dict[str, list[str]] | None:
    """What it answers at once; None: something has to be waited for."""
    page = Home(replica.videos).near()
    return None if page is None else _lists(page)


def _lists(page: bytes) -> dict[str, list[str]]:
    (found,) = orjson.loads(page)["data"].items()
    assert found[0] == "homePage"
    pairs = [pair for piece in found[1] for pair in piece.items()]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


async def test_home_is_made_of_the_lists_that_the_caches_have(here: Replica) -> None:
    genres = [f"genre/{number}" for number in range(HOME_GENRES)]
    ids = {genre: [await here.create(genre=genre)] for genre in genres}
    assert near_home(here) is None
    assert await home(here) == ids
    assert here.store.calls["genre"] == HOME_GENRES
    for _ in range(3):
        assert await home(here) == near_home(here) == ids
    assert here.store.calls["genre"] == HOME_GENRES
    assert [await here.listed(genre) for genre in genres] == list(ids.values())
    assert here.store.calls["genre"] == HOME_GENRES  # one and the same entry


async def test_many_who_come_home_at_once_read_each_list_once(here: Replica) -> None:
    for number in range(HOME_GENRES):
        await here.create(genre=f"genre {number}")
    found = await asyncio.gather(*(home(here) for _ in range(30)))
    assert all(len(each) == HOME_GENRES for each in found)
    assert here.store.calls["genre"] == HOME_GENRES
    assert here.store.calls["genres"] == 1


async def test_home_draws_some_of_many_and_never_the_same_for_all(here: Replica) -> None:
    for number in range(HOME_GENRES * 2):
        await here.create(genre=f"genre {number}")
    drawn = [frozenset(await home(here)) for _ in range(20)]
    assert {len(each) for each in drawn} == {HOME_GENRES}
    assert len(set(drawn)) > 10


async def test_home_is_near_only_as_long_as_all_of_it_is(here: Replica) -> None:
    one = await here.create(genre="A")
    await home(here)  # what the store had goes to Redis, and is near from the next read on
    assert await home(here) == near_home(here) == {"A": [one]}
    two = await here.create(genre="B")
    assert near_home(here) is None  # nobody knows which genres there are
    await here.videos.genres.names()
    assert near_home(here) is None  # B's list is not there
    await home(here)
    assert await home(here) == near_home(here) == {"A": [one], "B": [two]}
    here.near.remove(genre_key("A"))
    assert near_home(here) is None
    await home(here)
    assert await home(here) == near_home(here)
    make_older(here, LIST_TTL_S + 1)
    assert near_home(here) is None  # somebody has to begin to read the genres
    trap = here.store.has_read["genres"].trap()
    page = await home(here)
    await trap.reached()
    assert near_home(here) == page  # and meanwhile nobody has to wait
    make_older(here, GRACE_S)
    assert near_home(here) is None
    trap.release()


async def test_home_draws_from_what_is_near_as_well(here: Replica) -> None:
    for number in range(HOME_GENRES * 2):
        await here.create(genre=f"genre {number}")
    for genre in [*await here.videos.genres.names()] * 2:
        await here.listed(genre)
    drawn = [frozenset(near_home(here) or ()) for _ in range(20)]
    assert {len(each) for each in drawn} == {HOME_GENRES}
    assert len(set(drawn)) > 10


async def test_home_leaves_out_a_genre_that_has_gone(here: Replica) -> None:
    one, two = await here.create(genre="A"), await here.create(genre="B")
    assert await home(here) == {"A": [one], "B": [two]}
    async with opened(_folder(here), None) as other:  # one that tells nobody
        await other.videos.delete(one, ANY)
    here.near.clear()
    if here.redis is None:
        assert await here.listed("A") == []
        assert await here.videos.genres.names() == ["A", "B"]  # not yet read again
        assert await home(here) == {"B": [two]}
    await here.rename(two, "three")
    assert (await home(here))["B"] == [two]


async def test_while_the_store_is_away_home_is_made_of_what_there_is(here: Replica) -> None:
    genres = [f"genre {number}" for number in range(HOME_GENRES * 2)]
    ids = {genre: [await here.create(genre=genre)] for genre in genres}
    some = genres[:3]
    for genre in some:
        await here.listed(genre)
    await here.videos.genres.names()
    away = Unavailable("away")
    away.__cause__ = OSError("the driver's own words, for the log")
    here.store.failures["genre"] = away
    for _ in range(5):
        assert await home(here) == {genre: ids[genre] for genre in some}
    for genre in some:
        await here.videos.delete(ids[genre][0], ANY)
    with pytest.raises(Unavailable) as raised:
        await home(here)
    assert raised.value.__cause__ is away.__cause__
