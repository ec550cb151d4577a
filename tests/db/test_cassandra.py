"""The border to Cassandra: every error of the driver has a meaning, and an outage passes.

The contract of a store is held elsewhere; here is what only Cassandra can do to us. Tests that
stop, freeze or kill a node have one of their own.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from acsylla import errors as driver

from bench.servers import CassandraNode
from config import Config
from db.cassandra import MEANINGS, Cassandra, translate
from db.cassandra_store import CassandraStore
from db.version import Expected, new_id
from db.video import Changes
from errors import Late, NotFound, OutcomeUnknown, ServiceError, Unavailable
from tests.db.samples import draft, eventually, genre_name, listed

ANY = Expected()
AT_ONCE_S = 0.05
OURS = {
    *("CassException", "CassErrorSourceLib", "CassErrorSourceServer"),  # never raised themselves
    *("CassExceptionInvalidQuery", "CassExceptionSyntaxError", "AggregateNotFound"),
    *("ColumnNotFound", "FunctionNotFound", "IndexNotFound", "KeyspaceNotFound"),
    *("MaterializedViewNotFound", "SchemaNotAvailable", "TableNotFound", "UserTypeNotFound"),
    *("CassErrorLibBadParams", "CassErrorLibCallbackAlreadySet", "CassErrorLibInternalError"),
    *("CassErrorLibExecutionProfileInvalid", "CassErrorLibIndexOutOfBounds"),
    *("CassErrorLibInvalidCustomType", "CassErrorLibInvalidData", "CassErrorLibInvalidState"),
    *("CassErrorLibInvalidErrorResultType", "CassErrorLibInvalidFutureType"),
    *("CassErrorLibInvalidItemCount", "CassErrorLibInvalidStatementType"),
    *("CassErrorLibInvalidValueType", "CassErrorLibMessageEncode", "CassErrorLibNullValue"),
    *("CassErrorLibNameDoesNotExist", "CassErrorLibNoAvailableIoThread"),
    *("CassErrorLibNoCustomPayload", "CassErrorLibNoPagingState", "CassErrorLibNoTracingId"),
    *("CassErrorLibNotEnoughData", "CassErrorLibNotImplemented", "CassErrorLibParameterUnset"),
    *("CassErrorLibUnableToInit", "CassErrorLibUnexpectedResponse"),
    *("CassErrorServerAlreadyExists", "CassErrorServerConfigError"),
    *("CassErrorServerFunctionFailure", "CassErrorServerInvalidQuery"),
    *("CassErrorServerProtocolError", "CassErrorServerSyntaxError"),
}
"""Mistakes of ours, or of the driver: nothing that happens to Cassandra causes them."""


def driver_errors() -> dict[str, type[BaseException]]:
    return {
        name: each
        for name, each in vars(driver).items()
        if inspect.isclass(each) and issubclass(each, BaseException)
    }


def test_every_error_of_the_driver_has_one_meaning() -> None:
    known = driver_errors()
    mapped = {name for name, each in known.items() if each in MEANINGS}
    assert len(known) > 60
    assert mapped | OURS == set(known)
    assert mapped & OURS == set()


def test_errors_are_translated_without_the_drivers_words() -> None:
    for name, each in driver_errors().items():
        error = each("secret words")
        assert isinstance(error, Exception)
        ours = translate(error)
        if name in OURS:
            assert ours is error
        else:
            assert type(ours) is MEANINGS[each]
            assert "secret" not in str(ours)
    assert isinstance(translate(RuntimeError("closed")), Unavailable)
    other = KeyError()
    assert translate(other) is other


def config_of(node: CassandraNode, keyspace: str = "", **settings: Any) -> Config:
    return Config(
        cassandra_host=(node.host,),
        cassandra_port=node.port,
        cassandra_keyspace=keyspace or f"border_{uuid.uuid4().hex[:12]}",
        **settings,
    )


async def is_up(store: CassandraStore | Cassandra) -> bool:
    return store.state()[0] == "up"


@asynccontextmanager
async def opened(config: Config, wait: bool = True) -> AsyncIterator[CassandraStore]:
    store = CassandraStore(config)
    await store.open()
    try:
        if wait:
            await eventually(lambda: is_up(store), 60)
        yield store
    finally:
        await store.close()


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
async def test_a_silent_node_is_late_and_then_away(frail_node: CassandraNode) -> None:
    await asyncio.to_thread(frail_node.start)
    async with opened(config_of(frail_node)) as store:
        row = await store.create(new_id(), draft(), None)
        frail_node.pause()
        try:
            began = time.monotonic()
            with pytest.raises((Late, Unavailable)):
                await store.video(row["id"])
            assert time.monotonic() - began < 2
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


async def ask_until_answered(ask: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(15):
        while True:
            with suppress(Late, Unavailable):
                return await ask()
            await asyncio.sleep(0.1)


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


@pytest.mark.timeout(300)
async def test_a_wrong_data_centre_is_told_with_those_there_are(
    cassandra_node: CassandraNode,
) -> None:
    async with opened(config_of(cassandra_node, cassandra_dc="eu-west"), wait=False) as store:

        async def told() -> bool:
            return "datacenter1" in store.state()[1]

        await eventually(told)
        state, reason = store.state()
        assert state == "starting"
        assert "CASSANDRA_DC" in reason
        assert "eu-west" in reason
        with pytest.raises(Unavailable):
            await store.video(new_id())
    async with opened(config_of(cassandra_node, cassandra_dc="datacenter1")) as store:
        assert await store.ids(None, 1) == []


@pytest.mark.timeout(300)
async def test_six_stores_at_once_make_one_schema(cassandra_node: CassandraNode) -> None:
    config = config_of(cassandra_node, store_deadline_s=10.0)
    stores = [CassandraStore(config) for _ in range(6)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        for store in stores:
            await eventually(lambda store=store: is_up(store), 60)  # type: ignore[misc]
        rows = [await store.create(new_id(), draft(), None) for store in stores]
        for store in stores:
            for row in rows:
                assert await store.video(row["id"]) == row
    finally:
        await asyncio.gather(*(store.close() for store in stores))
    tables = "SELECT table_name, id FROM system_schema.tables WHERE keyspace_name = ?"
    asked = Cassandra(config, [tables])
    await asked.open()
    try:
        await eventually(lambda: is_up(asked), 60)
        result = await asked.execute(tables, [config.cassandra_keyspace])
        found = {row.column_value("table_name"): row.column_value("id") for row in result.all()}
    finally:
        await asked.close()
    names = ("video", "video_by_genre")
    assert found == {
        name: str(uuid.uuid5(uuid.NAMESPACE_OID, f"{config.cassandra_keyspace}.{name}"))
        for name in names
    }
    assert cassandra_node.log_path
    assert "ID mismatch" not in cassandra_node.log_path.read_text(errors="replace")


@pytest.mark.timeout(300)
async def test_null_clears_a_column_and_what_is_not_named_stays(
    cassandra_node: CassandraNode,
) -> None:
    async with opened(config_of(cassandra_node, store_deadline_s=10.0)) as store:
        row = await store.create(
            new_id(),
            draft(isMovie=False, seasons=3, rating="PG", duration=0, cast=["a"], isOriginal=False),
            None,
        )
        assert await store.video(row["id"]) == row
        cleared: dict[str, Any] = {"rating": None, "duration": None, "cast": [], "isoriginal": None}
        changed = (await store.update(row["id"], Changes(cleared), ANY)).after
        assert changed is not None
        assert changed == row | cleared | {"lastupdated": changed["lastupdated"]}
        assert await store.video(row["id"]) == changed
        movie = (await store.update(row["id"], Changes({"ismovie": True}), ANY)).after
        assert movie is not None
        assert "seasons" not in movie
        series = (await store.update(row["id"], Changes({"ismovie": False}), ANY)).after
        assert series is not None
        assert series["seasons"] is None
        assert await store.video(row["id"]) == series
