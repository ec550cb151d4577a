"""Keyspaces that are not ours, or were made anew: told in words, and recovered from."""

import asyncio
import dataclasses
import os
from types import SimpleNamespace
from typing import Any

import pytest

from bench.lab.servers import CassandraNode
from config import Config, ConfigError
from db.cassandra import schema
from db.cassandra import session as cassandra_session
from db.cassandra.session import make_cluster
from db.cassandra.store import CassandraStore
from db.version import Expected, new_id
from errors import NotFound, ServiceError, Unavailable
from tests.db.cassandra_world import config_of, is_up, opened
from tests.db.samples import draft, eventually, genre_name

pytestmark = pytest.mark.timeout(300)


async def query(config: Config, *statements: str) -> None:
    session = await make_cluster(config, None).create_session()
    try:
        for statement in statements:
            await session.query(statement)
    finally:
        await session.close()


def keyspace_of(config: Config) -> str:
    replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
    return f'CREATE KEYSPACE "{config.cassandra_keyspace}" WITH replication = {replication}'


FOREIGN = "(id uuid PRIMARY KEY, url text)"
OLDER = """(id uuid PRIMARY KEY, lastupdated timeuuid, title text, releasedate int,
    created timeuuid, request_hash text)"""


class Disagreeing:
    """A session whose cluster has a dead node, which knows an older schema."""

    async def query(self, statement: str) -> Any:
        rows: list[tuple[str, ...]] = [("dc1", "old" if "peers" in statement else "new")]
        if "system_schema" in statement:
            rows = [*schema.columns()]
        return SimpleNamespace(
            all=lambda: [SimpleNamespace(as_tuple=lambda row=row: row) for row in rows]
        )


async def test_a_dead_node_with_an_older_schema_delays_no_start_by_much(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If the tables are there, only another replica may be making them just now."""
    assert schema.OTHERS_S < 5.0 < schema.AGREEMENT_S
    monkeypatch.setattr(schema, "OTHERS_S", 0.1)
    async with asyncio.timeout(10.0):
        assert await schema.ensure(Disagreeing(), Config()) == "dc1"
    assert "do not agree" in caplog.text


async def test_too_few_nodes_for_the_copies_are_told_by_the_driver(
    cassandra_node: CassandraNode,
) -> None:
    config = config_of(cassandra_node, cassandra_replication=3)
    async with opened(config, wait=False) as store:

        async def is_told() -> bool:
            state, reason = store.state()
            return state == "starting" and "unavailable or failed" in reason

        await eventually(is_told)


@pytest.mark.parametrize("table", [FOREIGN, OLDER])
async def test_a_keyspace_that_is_not_of_this_release_is_refused_in_a_line(
    cassandra_node: CassandraNode, table: str
) -> None:
    config = config_of(cassandra_node)
    await query(
        config, keyspace_of(config), f'CREATE TABLE "{config.cassandra_keyspace}".video {table}'
    )
    store = CassandraStore(config)
    words = "CASSANDRA_KEYSPACE .* has a table video of another program, or of another release"
    with pytest.raises(ConfigError, match=words) as refused:
        await store.open()
    assert "\n" not in str(refused.value)


async def test_a_keyspace_named_by_a_reserved_word_is_refused_in_a_line(
    cassandra_node: CassandraNode,
) -> None:
    store = CassandraStore(
        dataclasses.replace(config_of(cassandra_node), cassandra_keyspace="order")
    )
    with pytest.raises(ConfigError, match="CASSANDRA_KEYSPACE order is a reserved word of CQL"):
        await store.open()


async def test_a_refusal_that_comes_later_ends_when_its_reason_does(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when Cassandra is found after the service has started."""
    monkeypatch.setattr(cassandra_session, "OPEN_S", 0.0)
    config = config_of(cassandra_node)
    table = f'"{config.cassandra_keyspace}".video'
    await query(config, keyspace_of(config), f"CREATE TABLE {table} {FOREIGN}")
    async with opened(config, wait=False) as store:

        async def told() -> bool:
            return "another program" in store.state()[1]

        await eventually(told)
        assert store.state()[0] == "starting"
        with pytest.raises(Unavailable) as refused:
            await store.video(new_id())
        assert "program" not in str(refused.value)  # of no use to a client
        await query(config, f"DROP TABLE {table}")
        await eventually(lambda: is_up(store))


async def test_a_keyspace_that_exists_without_tables_is_filled(
    cassandra_node: CassandraNode,
) -> None:
    """As ``python -m db.cassandra.login`` leaves it."""
    config = config_of(cassandra_node, store_deadline_s=10.0)
    await query(config, keyspace_of(config))
    async with opened(config) as store:
        assert await store.ids(None, 1) == []


async def test_a_keyspace_that_is_made_anew_is_another_store(cassandra_node: CassandraNode) -> None:
    config = config_of(cassandra_node, "anew_" + os.urandom(4).hex(), store_deadline_s=10.0)
    async with opened(config) as store:
        genre = genre_name()
        row = await store.create(new_id(), draft(genre), None)
        identity = await store.identity()
        await query(config, f"DROP KEYSPACE {config.cassandra_keyspace}")

        async def is_another() -> bool:
            return await store.identity() != identity and store.state()[0] == "up"

        await eventually(is_another)
        with pytest.raises(NotFound):
            await store.video(row["id"])

        async def works() -> Any:
            try:
                return await store.create(row["id"], draft(genre), "hash")
            except ServiceError:
                return None

        assert (await works())["id"] == row["id"]
        assert await store.genre(genre) == [row["id"]]
        await store.delete(row["id"], Expected())
