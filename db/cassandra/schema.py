"""Make the schema if it is absent. Any number of replicas may do so at once."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from acsylla.errors import CassErrorServerSyntaxError

from config import Config, ConfigError

logger = logging.getLogger("content")

AGREEMENT_S = 30.0
RING = 3
"""A data centre with so many nodes gets so many replicas, and then one node may be lost."""
LOOK_AGAIN_S = 3.0
"""A ring that has just started answers before it knows all its nodes, so look a second time."""
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS \$keyspace\.(\w+) \((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r'^    "?([a-z_]+)"? ([a-z<>]+)', re.MULTILINE)


class Node(NamedTuple):
    """A node, with its data centre and the version of its schema."""

    datacenter: str
    schema_version: object


async def ensure(session: Any, config: Config) -> str:
    """Create the missing parts of ``schema.cql``, and return the local data centre's name.

    Wait until the cluster agrees. Raise ConfigError if no waiting can help. ``session`` is a driver
    session without a keyspace.
    """
    local = await local_datacenter(session, config)
    tables = await _tables(session, config)
    for table, expected in columns().items():
        if not expected.items() <= tables.get(table, expected).items():
            raise ConfigError(
                f"CASSANDRA_KEYSPACE {config.cassandra_keyspace} has a table {table} of another"
                " program, or of another release of this service, which is not converted: name"
                " another keyspace, or drop this one and import the catalogue again"
            )
    try:
        if tables.keys() < columns().keys():
            await make_keyspace(session, config, local)
            for statement in _statements(config, local, 0)[1:]:
                await session.query(statement)
        await session.query(f"USE {config.cassandra_keyspace}")
    except CassErrorServerSyntaxError:  # its form is Config's to check
        raise ConfigError(
            f"CASSANDRA_KEYSPACE {config.cassandra_keyspace} is a reserved word of CQL"
        ) from None
    await _agreement(session)
    return local


def columns() -> dict[str, dict[str, str]]:
    """Return the columns of every table of ``schema.cql``, with their types."""
    return {name: dict(_COLUMN.findall(body)) for name, body in _TABLE.findall(_text())}


async def local_datacenter(session: Any, config: Config) -> str:
    """Return CASSANDRA_DC, or the data centre of the node that answers.

    Raise ConfigError if the cluster lacks CASSANDRA_DC.
    """
    known = [node.datacenter for node in await nodes(session)]
    local = config.cassandra_dc or known[0]
    if local not in known:
        await asyncio.sleep(LOOK_AGAIN_S)
        known = [node.datacenter for node in await nodes(session)]
    if local not in known:
        there = ", ".join(sorted(set(known)))
        raise ConfigError(f"CASSANDRA_DC is {local}, but the cluster has {there}")
    return local


async def make_keyspace(session: Any, config: Config, local: str) -> None:
    """Create the keyspace if it is absent."""
    name = config.cassandra_keyspace
    known = f"SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '{name}'"
    if (await session.query(known)).first() is not None:
        return  # CREATE IF NOT EXISTS takes a permission that the service need not have
    replication = config.cassandra_replication
    if replication is None:
        if not await is_ring(session, local):
            await asyncio.sleep(LOOK_AGAIN_S)
        replication = RING if await is_ring(session, local) else 1
    logger.info("creating keyspace %s, replication %d", name, replication)
    await session.query(_statements(config, local, replication)[0])


async def is_ring(session: Any, datacenter: str) -> bool:
    """Return whether ``datacenter`` has enough nodes to lose one of them."""
    return sum(node.datacenter == datacenter for node in await nodes(session)) >= RING


def _text() -> str:
    lines = (Path(__file__).parent / "schema.cql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def _statements(config: Config, datacenter: str, replication: int) -> list[str]:
    keyspace = config.cassandra_keyspace
    names = {
        f"{table}_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{keyspace}.{table}") for table in columns()
    }
    text = Template(_text()).substitute(
        names,
        keyspace=keyspace,
        datacenter=datacenter.replace("'", "''"),
        replication=replication,
    )
    return [statement for part in text.split(";") if (statement := part.strip())]


async def nodes(session: Any) -> list[Node]:
    """Return every node, the contact point's own first."""
    query = "SELECT data_center, schema_version FROM system."
    results = [await session.query(query + table) for table in ("local", "peers")]
    return [Node(*row.as_tuple()) for result in results for row in result.all()]


async def _tables(session: Any, config: Config) -> dict[str, dict[str, str]]:
    """Return the columns of our tables in the keyspace, and of no other table."""
    found: dict[str, dict[str, str]] = {}
    result = await session.query(
        "SELECT table_name, column_name, type FROM system_schema.columns"
        f" WHERE keyspace_name = '{config.cassandra_keyspace}'"
    )
    ours = columns()
    for row in result.all():
        table, column, kind = row.as_tuple()
        if table in ours:
            found.setdefault(table, {})[column] = kind
    return found


async def _agreement(session: Any) -> None:
    """Wait until every node has the same schema, because a node that lags does not know a table.

    Go on after AGREEMENT_S, because a dead node never agrees.
    """
    deadline = time.monotonic() + AGREEMENT_S
    while time.monotonic() < deadline:
        if len({node.schema_version for node in await nodes(session)}) == 1:
            return
        await asyncio.sleep(0.2)
    logger.warning("the nodes do not agree on the schema after %d s; going on", AGREEMENT_S)
