"""Stores over a Cassandra node, and the patience that its outages ask for."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bench.lab.servers import CassandraNode
from config import Config
from db.cassandra.store import CassandraStore
from errors import Late, Unavailable
from tests.db.samples import eventually


def config_of(node: CassandraNode, keyspace: str = "", **settings: Any) -> Config:
    """With a number of copies, since a store that has none given looks for other nodes for 3 s."""
    return Config(
        cassandra_host=(node.host,),
        cassandra_port=node.port,
        cassandra_keyspace=keyspace or f"border_{uuid.uuid4().hex[:12]}",
        **{"cassandra_replication": 1, **settings},
    )


async def is_up(store: CassandraStore) -> bool:
    return store.state()[0] == "up"


@asynccontextmanager
async def opened(config: Config, wait: bool = True) -> AsyncIterator[CassandraStore]:
    store = CassandraStore(config)
    await store.open()
    try:
        if wait:
            await eventually(lambda: is_up(store))
        yield store
    finally:
        await store.close()


async def ask_until_answered(ask: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(15):
        while True:
            with suppress(Late, Unavailable):
                return await ask()
            await asyncio.sleep(0.1)
