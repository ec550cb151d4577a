"""The stores that the contract suite (``test_contract_*.py``) runs over, each for real.

Cassandra's keyspace is made once a session, as that takes a second: tests of the contract use
fresh ids and genres, and see what other tests left behind. ``empty_store`` is for the others.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config import Config
from db.cassandra.store import CassandraStore
from db.store import CatalogueStore, open_store
from db.version import Expected

STORES = ("embedded", "cassandra")


@pytest.fixture(scope="session")
def cassandra_keyspace() -> str:
    return f"contract_{uuid.uuid4().hex[:12]}"


@pytest.fixture(params=STORES)
def store_config(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    if request.param == "embedded":
        return Config(embedded_path=str(tmp_path / "content.sqlite3"))
    node = request.getfixturevalue("cassandra_node")
    return Config(
        cassandra_host=(node.host,),
        cassandra_port=node.port,
        cassandra_keyspace=request.getfixturevalue("cassandra_keyspace"),
        cassandra_replication=1,
        store_deadline_s=10.0,  # what is tested here is what a store says, not how soon
    )


@pytest.fixture
async def store(store_config: Config) -> AsyncIterator[CatalogueStore]:
    opened = open_store(store_config)
    await opened.open()
    try:
        async with asyncio.timeout(60):
            while opened.state()[0] != "up":  # noqa: ASYNC110 - the port tells nobody
                await asyncio.sleep(0.05)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def empty_store(store: CatalogueStore) -> CatalogueStore:
    if isinstance(store, CassandraStore):  # an embedded store is new for each test
        for video_id in await store.ids(None, 10_000):
            await store.delete(video_id, Expected())
        async for entries in store.entries():
            await store.lines.drop(entries)
    return store
