"""Make the schema if it is absent. Any number of replicas may do so at once."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from pathlib import Path
from string import Template
from typing import Any

from config import Config, ConfigError

logger = logging.getLogger("content")

AGREEMENT_S = 30.0
RING = 3
"""A data centre with so many nodes gets so many replicas, and then one node may be lost."""
LOOK_AGAIN_S = 3.0
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS \$keyspace\.(\w+) \((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r'^    "?([a-z_]+)"? ([a-z<>]+)', re.MULTILINE)
_OURS = {"lastupdated", "created", "request_hash"}


async def ensure(session: Any, config: Config) -> str:
    """Create the missing parts of ``schema.cql``, wait until the cluster agrees, and return the
    local data centre's name. Raise ConfigError if no waiting can help. ``session`` is a driver
    session without a keyspace."""
    local = await local_datacenter(session, config)
    found = await _columns_in(session, config)
    _check(found, config)
    if found.keys() < columns().keys():
        await make_keyspace(session, config, local)
        for statement in _statements(config, local, 0)[1:]:
            await session.query(statement)
    await _agreement(session)
    return local


def quoted(config: Config) -> str:
    """Return the keyspace's name for CQL, quoted because it may be a reserved word. It is in lower
    case, as CQL makes every name without quotes."""
    return f'"{config.cassandra_keyspace.lower()}"'


def columns() -> dict[str, dict[str, str]]:
    """Return the columns of every table of ``schema.cql``, with their types."""
    return {name: dict(_COLUMN.findall(body)) for name, body in _TABLE.findall(_text())}


async def local_datacenter(session: Any, config: Config) -> str:
    """Return CASSANDRA_DC, or the data centre of the node that answers. Raise ConfigError if the
    cluster lacks CASSANDRA_DC twice, because a new node answers before it knows the others."""
    datacenters = await _datacenters(session)
    local = config.cassandra_dc or datacenters[0]
    if local not in datacenters:
        await asyncio.sleep(LOOK_AGAIN_S)
        datacenters = await _datacenters(session)
    if local not in datacenters:
        there = ", ".join(sorted(set(datacenters)))
        raise ConfigError(f"CASSANDRA_DC is {local}, but the cluster has {there}")
    return local


async def make_keyspace(session: Any, config: Config, local: str) -> None:
    """Create the keyspace if it is absent."""
    name = config.cassandra_keyspace.lower()
    known = f"SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '{name}'"
    if (await session.query(known)).first() is not None:
        return  # CREATE IF NOT EXISTS takes a permission that the service need not have
    replication = config.cassandra_replication
    if replication is None:
        datacenters = await _datacenters(session)
        if datacenters.count(local) < RING:
            # a ring that has just started answers before it knows its nodes
            await asyncio.sleep(LOOK_AGAIN_S)
            datacenters = await _datacenters(session)
        replication = RING if datacenters.count(local) >= RING else 1
    logger.info("creating keyspace %s, replication %d", name, replication)
    await session.query(_statements(config, local, replication)[0])


def _text() -> str:
    lines = (Path(__file__).parent / "schema.cql").read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def _statements(config: Config, datacenter: str, replication: int) -> list[str]:
    keyspace = config.cassandra_keyspace.lower()
    ids = {
        f"{table}_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{keyspace}.{table}") for table in columns()
    }
    names = {
        "keyspace": quoted(config),
        "datacenter": datacenter.replace("'", "''"),
        "replication": replication,
        **ids,
    }
    text = Template(_text()).substitute(names)
    return [statement for part in text.split(";") if (statement := part.strip())]


async def _datacenters(session: Any) -> list[str]:
    """Return the data centre of every node, the contact point's own first."""
    local = await session.query("SELECT data_center FROM system.local")
    peers = await session.query("SELECT data_center FROM system.peers")
    return [row.column_value("data_center") for result in (local, peers) for row in result.all()]


async def _columns_in(session: Any, config: Config) -> dict[str, dict[str, str]]:
    """Return the columns of our tables in the keyspace, and of no other table."""
    found: dict[str, dict[str, str]] = {}
    result = await session.query(
        "SELECT table_name, column_name, type FROM system_schema.columns"
        f" WHERE keyspace_name = '{config.cassandra_keyspace.lower()}'"
    )
    for row in result.all():
        table, column, kind = row.as_tuple()
        if table in columns():
            found.setdefault(table, {})[column] = kind
    return found


def _check(found: dict[str, dict[str, str]], config: Config) -> None:
    """Raise ConfigError if a table differs from this release's."""
    expected = columns()
    for table, has in found.items():
        if any(has.get(name) != kind for name, kind in expected[table].items()):
            keyspace = config.cassandra_keyspace
            if has.keys() >= _OURS or "video" not in found:
                raise ConfigError(
                    f"CASSANDRA_KEYSPACE {keyspace} was made by another release of this service,"
                    " and is not converted: drop it and import the catalogue again"
                )
            raise ConfigError(
                f"CASSANDRA_KEYSPACE {keyspace} has a table {table} of another program:"
                " name another keyspace"
            )


async def _agreement(session: Any) -> None:
    """Wait until every node has the same schema, because a node that lags does not know a table. Go
    on after AGREEMENT_S, because a dead node never agrees."""
    deadline = asyncio.get_running_loop().time() + AGREEMENT_S
    while asyncio.get_running_loop().time() < deadline:
        versions = set()
        for table in ("local", "peers"):
            result = await session.query(f"SELECT schema_version FROM system.{table}")
            versions |= {row.column_value("schema_version") for row in result.all()}
        if len(versions) == 1:
            return
        await asyncio.sleep(0.2)
    logger.warning("the nodes do not agree on the schema after %d s; going on", AGREEMENT_S)
