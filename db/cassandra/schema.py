"""Make the schema if it is absent. Any number of replicas may do so at once."""

import asyncio
import logging
import re
import time
import uuid
from pathlib import Path
from typing import Any

from acsylla import errors as driver

from config import Config, ConfigError
from db.store import statements_of

logger = logging.getLogger("content")

AGREEMENT_S, OTHERS_S = 30.0, 3.0
"""How long to wait for agreement after tables were made, here or perhaps by another replica."""
RING = 3
"""A data centre with so many nodes gets so many replicas, and then one node may be lost."""
LOOKS_S = 0.0, 3.0
"""The pause before each look for nodes. A ring that has just started answers before it knows all
its nodes, so look a second time."""
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS \$keyspace\.(\w+) \((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r'^    "?([a-z_]+)"? ([a-z<>]+)', re.MULTILINE)


async def ensure(session: Any, config: Config) -> str:
    """Create the missing parts of ``schema.cql``, and return the local data centre's name.

    Wait until the cluster agrees. Raise ConfigError if no waiting can help. ``session`` is a driver
    session without a keyspace.
    """
    local = await local_datacenter(session, config)
    result = await session.query(
        "SELECT table_name, column_name, type FROM system_schema.columns"
        f" WHERE keyspace_name = '{config.cassandra_keyspace}'"
    )
    found = {row.as_tuple() for row in result.all()}
    tables = {table for table, _, _ in found}
    for table, *column in columns():
        if table in tables and (table, *column) not in found:
            raise ConfigError(
                f"CASSANDRA_KEYSPACE {config.cassandra_keyspace} has a table {table} of another"
                " program, or of another release of this service, which is not converted: name"
                " another keyspace, or drop this one and import the catalogue again"
            )
    is_new = any(table not in tables for table, _, _ in columns())
    if is_new:
        await _make(session, config, local)
    await _agreement(session, AGREEMENT_S if is_new else OTHERS_S)
    return local


async def _make(session: Any, config: Config, local: str) -> None:
    """Create the keyspace and the tables that are absent."""
    logger.info("creating the tables of keyspace %s", config.cassandra_keyspace)
    copies = await replication(session, config, local)
    keyspace, *tables = statements("schema.cql", config, local, copies)
    try:
        await session.query(keyspace)
    except driver.CassErrorServerSyntaxError:  # its form is Config's to check
        raise ConfigError(
            f"CASSANDRA_KEYSPACE {config.cassandra_keyspace} is a reserved word of CQL"
        ) from None
    except driver.CassErrorServerUnauthorized:
        pass  # a service with a login of its own may only make tables
    for statement in tables:
        await session.query(statement)


def columns() -> list[tuple[str, str, str]]:
    """Return the table, name and type of every column in ``schema.cql``."""
    tables = _TABLE.findall(Path(__file__).with_name("schema.cql").read_text())
    return [(table, *column) for table, body in tables for column in _COLUMN.findall(body)]


async def local_datacenter(session: Any, config: Config) -> str:
    """Return CASSANDRA_DC, or the data centre of the node that answers.

    Raise ConfigError if the cluster lacks CASSANDRA_DC.
    """
    for pause_s in LOOKS_S:
        await asyncio.sleep(pause_s)
        known = [datacenter for datacenter, _ in await _nodes(session)]
        local = config.cassandra_dc or known[0]
        if local in known:
            return local
    there = ", ".join(sorted(set(known)))
    raise ConfigError(f"CASSANDRA_DC is {local}, but the cluster has {there}")


def statements(file: str, config: Config, local: str, copies: int, **values: str) -> list[str]:
    """Return the statements of a CQL file of this folder, with its $names filled in."""
    keyspace = config.cassandra_keyspace
    names = {"keyspace": keyspace, "datacenter": quoted(local), "replication": copies, **values}
    for table, _, _ in columns():
        names[f"{table}_id"] = uuid.uuid5(uuid.NAMESPACE_OID, f"{keyspace}.{table}")
    return list(statements_of(Path(__file__).with_name(file), **names).values())


async def replication(session: Any, config: Config, local: str) -> int:
    """Return CASSANDRA_REPLICATION, or RING if the data centre has so many nodes, or 1."""
    if config.cassandra_replication is not None:
        return config.cassandra_replication
    for pause_s in LOOKS_S:
        await asyncio.sleep(pause_s)
        if [datacenter for datacenter, _ in await _nodes(session)].count(local) >= RING:
            return RING
    return 1


def quoted(text: str) -> str:
    """Return ``text`` as a literal of CQL."""
    return "'" + text.replace("'", "''") + "'"


async def _nodes(session: Any) -> list[tuple[str, object]]:
    """Return every node's data centre and schema version, the contact point's own first."""
    query = "SELECT data_center, schema_version FROM system."
    results = [await session.query(query + table) for table in ("local", "peers")]
    return [row.as_tuple() for result in results for row in result.all()]


async def _agreement(session: Any, wait_s: float) -> None:
    """Wait until every node has the same schema, because a node that lags does not know a table.

    The driver waits after its own statements alone, and another replica may have made the tables.
    Go on after ``wait_s``, because a dead node never agrees. A statement that a node cannot prepare
    yet fails, and the session is made again.
    """
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if len({version for _, version in await _nodes(session)}) == 1:
            return
        await asyncio.sleep(0.2)
    logger.warning("the nodes do not agree on the schema after %d s; going on", wait_s)
