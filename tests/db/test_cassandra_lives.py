"""Lines belong to one life of a row: what a writer left undone when it died is made good."""

import asyncio
import os
import time
from typing import Any

import pytest

from bench.lab.servers import CassandraNode
from db.cassandra import writes as cassandra_writes
from db.cassandra.lines import Life, Lines
from db.cassandra.store import CassandraStore
from db.store import Stored
from db.version import Expected, new_id
from db.video import Changes
from errors import Late, OutcomeUnknown
from tests.db.cassandra_world import config_of, opened
from tests.db.samples import draft, genre_name, listed, loaded, long_ago

pytestmark = pytest.mark.timeout(300)
ANY = Expected()


def config(node: CassandraNode) -> Any:
    return config_of(node, "lives_" + os.urandom(4).hex(), store_deadline_s=10.0)


class Dying:
    """Within it, writers die between the row and its lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._follow = Lines.follow

    def __enter__(self) -> None:
        async def never(self: Lines, life: Life) -> None: ...

        self._patch.setattr(Lines, "follow", never)

    def __exit__(self, *raised: object) -> None:
        self._patch.setattr(Lines, "follow", self._follow)


async def lists(store: CassandraStore, *genres: str) -> list[int]:
    return [len(await listed(store, genre)) for genre in genres]


async def test_the_next_write_makes_good_what_a_dead_writer_left_undone(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(config(cassandra_node)) as store:
        for finish in ("patch", "delete"):
            old, new, newest = genre_name(), genre_name(), genre_name()
            row = await store.create(new_id(), draft(old), None)
            with Dying(monkeypatch):
                await store.update(row["id"], Changes({"genres": [new]}), ANY)
            assert await lists(store, old, new, newest) == [1, 0, 0]
            if finish == "patch":
                await store.update(row["id"], Changes({"title": "another"}), ANY)
                assert await lists(store, old, new, newest) == [0, 1, 0]
            else:
                await store.delete(row["id"], ANY)
                assert await lists(store, old, new, newest) == [0, 0, 0]
            assert (await store._writes.find(row["id"]) is None) == (finish == "delete")


async def test_who_makes_a_row_again_drops_the_lines_of_its_earlier_lives(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(config(cassandra_node)) as store:
        genres = sorted(genre_name() for _ in range(3))
        video_id, values = new_id("a key"), draft(genres[0])
        await store.create(video_id, values, "hash")
        await store.update(video_id, Changes({"genres": genres[:2]}), ANY)
        await store.update(video_id, Changes({"genres": genres[1:]}), ANY)
        with Dying(monkeypatch):
            await store.delete(video_id, ANY)
        assert await lists(store, *genres) == [0, 1, 1]
        with Dying(monkeypatch):
            await store.create(video_id, values, "hash")
        assert await lists(store, *genres) == [0, 1, 1]
        await store.create(video_id, values, "hash")  # the caller tries again
        assert await lists(store, *genres) == [1, 0, 0]


async def test_a_replica_whose_clock_is_wrong_leaves_no_lines(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is behind, its versions are older than the lines of earlier lives that it drops."""
    async with opened(config(cassandra_node)) as store:
        genre, video_id = genre_name(), new_id("a key")
        await store.create(video_id, draft(genre), "hash")
        with Dying(monkeypatch):
            await store.delete(video_id, ANY)
        assert await lists(store, genre) == [1]
        time_ns = time.time_ns
        monkeypatch.setattr("db.version.time.time_ns", lambda: time_ns() - 60 * 10**9)
        await store.create(video_id, draft(genre), "hash")
        assert await lists(store, genre) == [1]
        await store.delete(video_id, ANY)
        assert await lists(store, genre) == [0]
        monkeypatch.setattr("db.version.time.time_ns", lambda: time_ns() + 7_200 * 10**9)
        await store.create(video_id, draft(genre), "hash")
        monkeypatch.setattr("db.version.time.time_ns", time_ns)  # a replica whose clock is right
        await store.delete(video_id, ANY)
        assert await lists(store, genre) == [0]


async def test_a_deletion_that_cannot_be_recorded_is_not_done(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(config(cassandra_node)) as store:
        genre = genre_name()
        row = await store.create(new_id(), draft(genre), None)
        execute = store._cassandra.execute

        async def refusing(statement: str, *values: Any, **options: Any) -> Any:
            if statement == "end_life":
                raise Late
            return await execute(statement, *values, **options)

        monkeypatch.setattr(store._cassandra, "execute", refusing)
        with pytest.raises(Late) as late:
            await store.delete(row["id"], ANY)
        assert type(late.value) is Late
        assert await store.video(row["id"]) == row
        assert await store.genre(genre) == [row["id"]]


async def test_a_record_of_a_deletion_that_did_not_hold_does_no_harm(
    cassandra_node: CassandraNode,
) -> None:
    async with opened(config(cassandra_node)) as store:
        genre = genre_name()
        stored = loaded(long_ago(), genre)
        await store.load([stored])
        found = await store._writes.find(stored.row["id"])
        assert found
        await store.update(stored.row["id"], Changes({"title": "faster"}), ANY)
        assert not await store._writes.remove(found)
        await store.load([stored])
        assert await store.known([stored.row["id"]]) == {stored.row["id"]}
        assert await store.genre(genre) == [stored.row["id"]]


@pytest.mark.parametrize("moment", ["rows", "lines"])
async def test_an_import_that_was_stopped_is_finished_by_one_of_another_file(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    async with opened(config(cassandra_node)) as store:
        old, new = genre_name(), genre_name()
        first = loaded(long_ago(), old)
        newer = loaded(long_ago(9), new)
        second = Stored({**newer.row, "id": first.row["id"]}, newer.created)
        ids = [first.row["id"]]

        execute = store._cassandra.execute

        async def stop(*_: Any) -> None:
            raise Late

        async def stopping(statement: str, *values: Any, **options: Any) -> Any:
            if statement == "finish_row":
                raise Late
            return await execute(statement, *values, **options)

        with monkeypatch.context() as stopped:
            if moment == "rows":
                stopped.setattr(Lines, "put", stop)
            else:
                stopped.setattr(store._cassandra, "execute", stopping)
            with pytest.raises(Late):
                await store.load([first])
        assert await store.known(ids) == set()
        await store.load([second])
        assert await store.known(ids) == set(ids)
        assert await store.video(ids[0]) == first.row
        assert await lists(store, old, new) == [1, 0]


async def test_a_row_that_is_half_loaded_is_patched_and_deleted_whole(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(config(cassandra_node)) as store:
        execute = store._cassandra.execute
        genres = sorted(genre_name() for _ in range(2))
        patched, deleted = (loaded(long_ago(n), *genres) for n in range(2))

        async def interposed(statement: str, *values: Any, **options: Any) -> Any:
            if statement == "finish_row":
                await asyncio.sleep(0.2)
            return await execute(statement, *values, **options)

        put = store.lines.put

        async def overtaken(entries: Any) -> None:
            monkeypatch.setattr(store.lines, "put", put)
            await store.update(patched.row["id"], Changes({"genres": genres[:1]}), ANY)
            await store.delete(deleted.row["id"], ANY)
            await put(entries)

        monkeypatch.setattr(store._cassandra, "execute", interposed)
        monkeypatch.setattr(store.lines, "put", overtaken)
        await store.load([patched, deleted])
        assert await store.genre(genres[0]) == [patched.row["id"]]
        assert await listed(store, genres[1]) == []
        assert await store._writes.find(deleted.row["id"]) is None
        assert len(await store.known([patched.row["id"], deleted.row["id"]])) == 2


async def test_what_may_be_listed_stays_bounded(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassandra_writes, "LISTED_MAX", 5)
    async with opened(config(cassandra_node)) as store:
        row = await store.create(new_id(), draft("first"), None)
        names = [genre_name() for _ in range(12)]
        for number, name in enumerate(names):
            if number == 3:
                with Dying(monkeypatch):
                    await store.update(row["id"], Changes({"genres": [name]}), ANY)
            else:
                await store.update(row["id"], Changes({"genres": [name]}), ANY)
            found = await store._writes.find(row["id"])
            assert found
            assert found.listed is not None
            assert len(found.listed) <= 5
        assert await lists(store, "first", *names) == [0] * 12 + [1]


async def test_a_creation_that_a_frozen_node_does_late_is_listed(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another row stands there when the outcome is looked up, and is deleted before the node runs
    the first INSERT: nobody may have been told that it was refused, and its lines are there."""
    async with opened(config(cassandra_node)) as store:
        ours, others = genre_name(), genre_name()
        video_id = new_id("a key")
        execute = store._cassandra.execute
        frozen: list[Any] = []

        async def freezing(statement: str, *values: Any, **options: Any) -> Any:
            if statement != "create_row":
                return await execute(statement, *values, **options)
            monkeypatch.setattr(store._cassandra, "execute", execute)
            await store.create(video_id, draft(others), "other")
            frozen.append(lambda: execute(statement, *values, **options))
            monkeypatch.setattr(store._cassandra, "execute", execute)
            raise Late

        monkeypatch.setattr(store._cassandra, "execute", freezing)
        with pytest.raises(OutcomeUnknown) as unknown:
            await store.create(video_id, draft(ours), "hash")
        await store.delete(video_id, ANY)
        assert await lists(store, ours, others) == [0, 0]
        await frozen[0]()
        async with asyncio.timeout(10):
            await unknown.value.settled
        assert (await store.video(video_id))["genres"] == [ours]
        assert await lists(store, ours, others) == [1, 0]
