"""Make the schema if it is absent. Any number of replicas may do so at once."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from acsylla import errors as driver

from config import Config, ConfigError

logger = logging.getLogger("content")

AGREEMENT_S = 30.0
RING = 3
"""A data centre with so many nodes gets so many replicas, and then one node may be lost."""
LOOKS_S = 0.0, 3.0
"""The pause before each look for nodes. A ring that has just started answers before it knows all
its nodes, so look a second time."""
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
            await _make(session, config, local)
        await session.query(f"USE {config.cassandra_keyspace}")
    except driver.CassErrorServerSyntaxError:  # its form is Config's to check
        raise ConfigError(
            f"CASSANDRA_KEYSPACE {config.cassandra_keyspace} is a reserved word of CQL"
        ) from None
    await _agreement(session)
    return local


async def _make(session: Any, config: Config, local: str) -> None:
    """Create the keyspace and the tables that are absent."""
    logger.info("creating the tables of keyspace %s", config.cassandra_keyspace)
    copies = await replication(session, config, local)
    keyspace, *tables = statements("schema.cql", config, local, copies)
    # a service with a login of its own may only make tables
    with suppress(driver.CassErrorServerUnauthorized):
        await session.query(keyspace)
    for statement in tables:
        await session.query(statement)


def columns() -> dict[str, dict[str, str]]:
    """Return the columns of every table of ``schema.cql``, with their types."""
    return {name: dict(_COLUMN.findall(body)) for name, body in _TABLE.findall(_text("schema.cql"))}


async def local_datacenter(session: Any, config: Config) -> str:
    """Return CASSANDRA_DC, or the data centre of the node that answers.

    Raise ConfigError if the cluster lacks CASSANDRA_DC.
    """
    for pause_s in LOOKS_S:
        await asyncio.sleep(pause_s)
        known = [node.datacenter for node in await nodes(session)]
        local = config.cassandra_dc or known[0]
        if local in known:
            return local
    there = ", ".join(sorted(set(known)))
    raise ConfigError(f"CASSANDRA_DC is {local}, but the cluster has {there}")


def statements(file: str, config: Config, local: str, copies: int, **values: str) -> list[str]:
    """Return the statements of a CQL file of this folder, with its $names filled in."""
    keyspace = config.cassandra_keyspace
    names = {"keyspace": keyspace, "datacenter": quoted(local), "replication": copies, **values}
    for name in columns():
        names[f"{name}_id"] = uuid.uuid5(uuid.NAMESPACE_OID, f"{keyspace}.{name}")
    # split first, because a value may have a semicolon
    parts = _text(file).split(";")
    return [Template(part).substitute(names).strip() for part in parts if part.strip()]


async def replication(session: Any, config: Config, local: str) -> int:
    """Return CASSANDRA_REPLICATION, or RING if the data centre has so many nodes, or 1."""
    if config.cassandra_replication is not None:
        return config.cassandra_replication
    for pause_s in LOOKS_S:
        await asyncio.sleep(pause_s)
        if [node.datacenter for node in await nodes(session)].count(local) >= RING:
            return RING
    return 1


def quoted(text: str) -> str:
    """Return ``text`` as a literal of CQL."""
    return "'" + text.replace("'", "''") + "'"


def _text(file: str) -> str:
    lines = (Path(__file__).parent / file).read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


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
