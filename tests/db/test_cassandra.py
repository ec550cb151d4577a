"""The border to Cassandra: every error of the driver has a meaning, and an outage passes.

The contract of a store is held elsewhere; here is what only Cassandra can do to us.
"""

import asyncio
import inspect
import uuid
from typing import Any

import acsylla
import pytest
from acsylla import errors as driver

from bench.lab.servers import CassandraNode
from config import ConfigError
from db.cassandra.session import make_cluster
from db.cassandra.statements import AWAY, LATE, translate
from db.cassandra.store import CassandraStore
from db.version import Expected, new_id
from db.video import Changes
from errors import Late, NotFound, Unavailable
from tests.db.cassandra_world import ask_until_answered, config_of, is_up, opened
from tests.db.samples import draft, eventually

ANY = Expected()
AT_ONCE_S = 0.5  # half the deadline; what has to wait for it takes all of it
OURS = {
    *("CassException", "CassErrorSourceLib"),  # never raised themselves
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
    mapped = {name for name, each in known.items() if issubclass(each, (*AWAY, *LATE))}
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
            assert type(ours) is (Late if issubclass(each, LATE) else Unavailable)
            assert "secret" not in str(ours)
    assert isinstance(translate(RuntimeError("closed")), Unavailable)
    other = KeyError()
    assert translate(other) is other


@pytest.mark.timeout(300)
async def test_a_wrong_data_centre_is_told_with_those_there_are(
    cassandra_node: CassandraNode,
) -> None:
    with pytest.raises(ConfigError, match=r"CASSANDRA_DC is eu-west, .* has datacenter1"):
        await CassandraStore(config_of(cassandra_node, cassandra_dc="eu-west")).open()
    async with opened(config_of(cassandra_node, cassandra_dc="datacenter1")) as store:
        assert await store.ids(None, 1) == []


@pytest.mark.timeout(300)
async def test_six_stores_at_once_make_one_schema(cassandra_node: CassandraNode) -> None:
    config = config_of(cassandra_node, store_deadline_s=10.0)
    stores = [CassandraStore(config) for _ in range(6)]
    try:
        await asyncio.gather(*(store.open() for store in stores))
        for store in stores:
            await eventually(lambda store=store: is_up(store))  # type: ignore[misc]
        rows = [await store.create(new_id(), draft(), None) for store in stores]
        for store in stores:
            for row in rows:
                assert await store.video(row["id"]) == row
    finally:
        await asyncio.gather(*(store.close() for store in stores))
    tables = (
        "SELECT table_name, id FROM system_schema.tables"
        f" WHERE keyspace_name = '{config.cassandra_keyspace}'"
    )
    session = await make_cluster(config, None).create_session()
    try:
        result = await session.query(tables)
        found = {row.column_value("table_name"): row.column_value("id") for row in result.all()}
    finally:
        await session.close()
    names = ("video", "video_by_genre", "genre", "deleted", "about")
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


async def test_a_table_that_is_gone_degrades_until_it_is_back(
    cassandra_node: CassandraNode,
) -> None:
    config = config_of(cassandra_node)
    async with opened(config) as store:
        row = await store.create(new_id(), draft("a"), None)
        session = await make_cluster(config, None).create_session()
        drop = f"DROP TABLE {config.cassandra_keyspace}.video_by_genre"
        await session.execute(acsylla.create_statement(drop, timeout=30))
        await session.close()
        for _ in range(2):
            with pytest.raises(Unavailable):
                await store.genre("a")
            assert await store.video(row["id"]) == row
            assert store.state()[0] == "degraded"
            assert "reads of video_by_genre fail" in store.state()[1]
        async with opened(config):  # makes the table
            with pytest.raises(NotFound):
                await ask_until_answered(lambda: store.genre("a"))
        assert store.state() == ("up", "")
