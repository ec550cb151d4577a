"""Cassandra away, silent or late: refused at once, settled later, and back by itself."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from bench.servers import CassandraNode
from config import Config
from db.cassandra_store import CassandraStore
from db.version import Expected, new_id
from db.video import Changes
from errors import Late, NotFound, OutcomeUnknown, ServiceError, Unavailable
from tests.db.cassandra_world import ask_until_answered, config_of, is_up, opened
from tests.db.samples import draft, eventually, genre_name, listed

ANY = Expected()
AT_ONCE_S = 0.05


@pytest.fixture(scope="module")
def frail_node() -> Iterator[CassandraNode]:
    """A node that tests may stop; not running at first."""
    node = CassandraNode(heap="512M")
    try:
        yield node
    finally:
        with suppress(Exception):
            node.resume()
        node.stop()


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
    frail_node: CassandraNode,
) -> None:
    async with opened(config_of(frail_node), wait=False) as store:
        await everything_is_refused_at_once(store)
        await asyncio.sleep(2)
        assert store.state()[0] == "starting"
        assert store.state()[1]
        await everything_is_refused_at_once(store)

        await asyncio.to_thread(frail_node.start)
        await eventually(lambda: is_up(store), 60)
        row = await store.create(new_id(), draft(), None)
        assert await store.video(row["id"]) == row

        await asyncio.to_thread(frail_node.stop)  # as an operator does: nothing is lost
        await eventually(lambda: is_down(store))
        for _ in range(20):
            await everything_is_refused_at_once(store)
            await asyncio.sleep(0.1)

        await asyncio.to_thread(frail_node.start)
        back = time.monotonic()
        await eventually(lambda: reads(store, row), 10)
        assert time.monotonic() - back < 3
        for _ in range(50):
            assert await store.video(row["id"]) == row
        await eventually(lambda: is_up(store), 3)
        assert (await store.update(row["id"], Changes({"title": "New"}), ANY)).before == row


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
        for ask, requests in (
            (lambda: store.video(row["id"]), 1),
            (lambda: store.genre("x"), 1),
            (lambda: store.update(row["id"], Changes({"title": "x"}), ANY), 1),
            (lambda: store.create(new_id(), draft(), None), 2),  # tried twice
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
            assert 0.35 < taken_s < 0.4 * requests + 0.3


@pytest.mark.timeout(300)
async def test_a_silent_node_is_late_and_then_away(frail_node: CassandraNode) -> None:
    await asyncio.to_thread(frail_node.start)
    async with opened(config_of(frail_node)) as store:
        row = await store.create(new_id(), draft(), None)
        frail_node.pause()
        try:
            began = time.monotonic()
            await eventually(lambda: is_down(store), 10)
            assert time.monotonic() - began < 10
            await asyncio.sleep(3)  # its connections are given up
            await refused_at_once(lambda: store.video(row["id"]))
        finally:
            frail_node.resume()
        await eventually(lambda: reads(store, row), 15)
        await eventually(lambda: is_up(store), 5)


async def agrees(store: CassandraStore, video_id: str, genre: str) -> bool:
    """Whether the genre lists the row if and only if it is there."""
    try:
        row = await store.video(video_id)
    except NotFound:
        return await listed(store, genre) == []
    assert genre in row["genres"]
    return await listed(store, genre) == [video_id]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["create", "update", "delete"])
async def test_a_write_that_nobody_answers_is_settled(frail_node: CassandraNode, kind: str) -> None:
    """Late at first, then known; row and list agree from then on."""
    await asyncio.to_thread(frail_node.start)
    async with opened(config_of(frail_node)) as store:
        genre, other = genre_name(), genre_name()
        video_id = new_id()
        if kind != "create":
            await store.create(video_id, draft(genre if kind == "delete" else other), None)
        writes: dict[str, Callable[[], Awaitable[Any]]] = {
            "create": lambda: store.create(video_id, draft(genre), None),
            "update": lambda: store.update(video_id, Changes({"genres": [genre]}), ANY),
            "delete": lambda: store.delete(video_id, ANY),
        }
        write = asyncio.ensure_future(writes[kind]())
        if kind != "create":  # it reads first: the answer to that may come
            await asyncio.sleep(0.002)
        frail_node.pause()
        began = time.monotonic()
        try:
            error: ServiceError | None = None
            try:
                await write
            except ServiceError as raised:
                error = raised
            assert time.monotonic() - began < 5
        finally:
            frail_node.resume()
        if isinstance(error, OutcomeUnknown):
            async with asyncio.timeout(20):
                await error.settled
        else:
            assert error is None or isinstance(error, (Late, Unavailable))
        if kind == "update":
            row = await ask_until_answered(lambda: store.video(video_id))
            genre = row["genres"][0]
        await eventually(lambda: agrees_when_answered(store, video_id, genre), 15)
        for _ in range(10):
            await asyncio.sleep(0.2)
            assert await agrees_when_answered(store, video_id, genre)


async def agrees_when_answered(store: CassandraStore, video_id: str, genre: str) -> bool:
    return bool(await ask_until_answered(lambda: agrees(store, video_id, genre)))


@pytest.mark.timeout(300)
async def test_a_create_to_a_frozen_node_has_an_unknown_outcome(frail_node: CassandraNode) -> None:
    await asyncio.to_thread(frail_node.start)
    async with opened(config_of(frail_node)) as store:
        for _ in range(3):
            genre, video_id = genre_name(), new_id()
            await ask_until_answered(lambda: store.ids(None, 1))
            frail_node.pause()
            try:
                with pytest.raises(OutcomeUnknown) as unknown:
                    await store.create(video_id, draft(genre), None)
            finally:
                frail_node.resume()
            async with asyncio.timeout(20):
                await unknown.value.settled
            for _ in range(10):
                assert await agrees_when_answered(store, video_id, genre)
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
