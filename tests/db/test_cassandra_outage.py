"""Cassandra away, silent or late: refused at once, settled later, and back by itself."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psutil
import pytest

from bench.lab.servers import CassandraNode
from config import Config
from db.cassandra.session import Cassandra
from db.cassandra.store import CassandraStore
from db.version import Expected, new_id
from db.video import Changes
from errors import Late, NotFound, OutcomeUnknown, ServiceError, Unavailable
from tests.db.cassandra_world import ask_until_answered, config_of, is_up, opened
from tests.db.samples import draft, eventually, genre_name, listed

ANY = Expected()
AT_ONCE_S = 0.5  # half the deadline; what has to wait for it takes all of it


async def refused_at_once(ask: Callable[[], Awaitable[Any]]) -> None:
    began = time.perf_counter()
    with pytest.raises(Unavailable) as refused:
        await ask()
    assert time.perf_counter() - began < AT_ONCE_S
    assert refused.value.headers["Retry-After"]


async def everything_is_refused_at_once(store: CassandraStore) -> None:
    video_id = new_id()
    for ask in (
        lambda: store.video(video_id),
        lambda: store.genre("x"),
        store.random_id,
        lambda: store.ids(None, 5),
        lambda: store.create(video_id, draft(), None),
        lambda: store.update(video_id, Changes({"title": "x"}), ANY),
        lambda: store.delete(video_id, ANY),
    ):
        await refused_at_once(ask)


@pytest.mark.timeout(300)
async def test_the_service_starts_before_cassandra_does_and_outlives_it(
    frail_node: CassandraNode, caplog: pytest.LogCaptureFixture
) -> None:
    """Its log has one line when the outage begins, whatever its reasons, and one at its end."""
    await asyncio.to_thread(frail_node.stop)
    async with opened(config_of(frail_node), wait=False) as store:
        await everything_is_refused_at_once(store)
        await asyncio.sleep(2)
        assert store.state()[0] == "starting"
        assert store.state()[1]
        await everything_is_refused_at_once(store)

        await asyncio.to_thread(frail_node.start)
        await eventually(lambda: is_up(store))
        row = await store.create(new_id(), draft(), None)
        assert await store.video(row["id"]) == row
        caplog.clear()
        caplog.set_level(logging.INFO)

        process = psutil.Process(frail_node.pid)
        await asyncio.to_thread(frail_node.stop)  # as an operator does: nothing is lost
        assert not process.is_running()
        while not await is_down(store):
            with suppress(ServiceError):  # as the first requests of the outage do
                await asyncio.gather(store.video(row["id"]), store.genres(), store.random_id())
        for _ in range(20):
            await everything_is_refused_at_once(store)
            await asyncio.sleep(0.1)

        await asyncio.to_thread(frail_node.start)
        await eventually(lambda: reads(store, row))
        for _ in range(50):
            assert await store.video(row["id"]) == row
        await eventually(lambda: is_up(store))
        assert (await store.update(row["id"], Changes({"title": "New"}), ANY)).before == row
        said = [record.getMessage().partition(":")[0] for record in caplog.records]
        turns = [text for text in said if text.startswith("Cassandra is ")]
        assert turns == ["Cassandra is down", "Cassandra is up"]


async def is_down(store: CassandraStore) -> bool:
    return store.state()[0] == "down"


async def reads(store: CassandraStore, row: dict[str, Any]) -> bool:
    try:
        return await store.video(row["id"]) == row
    except ServiceError:
        return False


@pytest.mark.timeout(300)
async def test_a_silent_node_is_late_by_the_deadline(frail_node: CassandraNode) -> None:
    await asyncio.to_thread(frail_node.start)
    async with opened(config_of(frail_node, store_deadline_s=0.4)) as store:
        row = await store.create(new_id(), draft(), None)
        for ask in (
            lambda: store.video(row["id"]),
            lambda: store.genre("x"),
            lambda: store.update(row["id"], Changes({"title": "x"}), ANY),
            lambda: store.create(new_id(), draft(), None),
        ):
            await ask_until_answered(lambda: store.video(row["id"]))
            frail_node.pause()
            try:
                began = time.monotonic()
                with pytest.raises(Late):
                    await ask()
                taken_s = time.monotonic() - began
            finally:
                frail_node.resume()
            assert taken_s > 0.35


@pytest.mark.timeout(300)
async def test_a_silent_node_is_late_and_then_away(frail_node: CassandraNode) -> None:
    await asyncio.to_thread(frail_node.start)
    async with opened(config_of(frail_node)) as store:
        row = await store.create(new_id(), draft(), None)
        frail_node.pause()
        try:
            await eventually(lambda: is_down(store))
            await asyncio.sleep(3)  # its connections are given up
            await refused_at_once(lambda: store.video(row["id"]))
        finally:
            frail_node.resume()
        await eventually(lambda: reads(store, row))
        await eventually(lambda: is_up(store))


async def agrees(store: CassandraStore, video_id: str, genre: str) -> bool:
    """Whether the genre lists the row if and only if the row has the genre."""
    try:
        row = await store.video(video_id)
    except NotFound:
        return await listed(store, genre) == []
    return await listed(store, genre) == ([video_id] if genre in row["genres"] else [])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["create", "update", "delete"])
async def test_a_write_that_nobody_answers_is_settled(
    frail_node: CassandraNode, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen with the transaction on the wire, the node may do it long after the caller was told
    504. What is settled stays: no row changes and no list lags behind it from then on."""
    await asyncio.to_thread(frail_node.start)
    execute = Cassandra.execute

    async def freezing(self: Cassandra, name: str, *values: Any, **options: Any) -> Any:
        if name in ("create_row", "update_row", "delete_row"):
            frail_node.pause()
        return await execute(self, name, *values, **options)

    async with opened(config_of(frail_node, store_deadline_s=0.4)) as store:
        for _ in range(6):
            genre, video_id = genre_name(), new_id()
            if kind != "create":
                first = genre if kind == "delete" else genre_name()
                await ask_until_answered(lambda: store.create(video_id, draft(first), None))  # noqa: B023
            writes: dict[str, Callable[[], Awaitable[Any]]] = {
                "create": lambda: store.create(video_id, draft(genre), None),  # noqa: B023
                "update": lambda: store.update(video_id, Changes({"genres": [genre]}), ANY),  # noqa: B023
                "delete": lambda: store.delete(video_id, ANY),  # noqa: B023
            }
            with monkeypatch.context() as frozen:
                frozen.setattr(Cassandra, "execute", freezing)
                try:
                    with pytest.raises(OutcomeUnknown) as unknown:
                        await writes[kind]()
                finally:
                    frail_node.resume()
            async with asyncio.timeout(20):
                await unknown.value.settled
            for _ in range(8):
                assert await ask_until_answered(lambda: agrees(store, video_id, genre))  # noqa: B023
                await asyncio.sleep(0.1)


async def test_closing_while_nobody_is_there_takes_little_time() -> None:
    store = CassandraStore(Config(cassandra_host=("127.0.0.1",), cassandra_port=1))
    await store.open()
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5):
        await store.close()
    with pytest.raises(Unavailable):
        await store.video(new_id())


async def test_waiting_for_cassandra_keeps_nothing() -> None:
    """Each attempt to connect ends with what it took: a night of them exhausts nothing."""
    config = Config(cassandra_host=("127.0.0.1",), cassandra_port=1)
    async with opened(config, wait=False):
        await asyncio.sleep(1.5)
        before = len(os.listdir("/proc/self/fd"))
        await asyncio.sleep(2.5)
        assert len(os.listdir("/proc/self/fd")) <= before + 2
