"""Makes the schema when it is absent; any number of replicas may do so at once."""

from __future__ import annotations

import asyncio
import logging
import uuid
from pathlib import Path
from string import Template
from typing import Any

from config import Config

logger = logging.getLogger("content")

AGREEMENT_S = 30.0
RING = 3
LOOK_AGAIN_S = 3.0
_TABLES = {"video", "video_by_genre", "genre", "deleted", "about"}


async def ensure(session: Any, config: Config) -> tuple[str, int]:
    """Creates what is missing of ``schema.cql``, waits until the cluster agrees, and returns the
    local data centre's name and how many nodes it has. Raises ValueError when CASSANDRA_DC names
    none of those found. ``session`` is a driver session without a keyspace."""
    datacenters = await _datacenters(session)
    local = config.cassandra_dc or datacenters[0]
    if local not in datacenters:
        found = ", ".join(sorted(set(datacenters)))
        raise ValueError(f"CASSANDRA_DC is {local}, but the cluster has {found}")
    if not await _is_there(session, config.cassandra_keyspace):
        replication = config.cassandra_replication
        if replication is None and datacenters.count(local) < RING:
            # a ring that has just started answers before it knows its nodes
            await asyncio.sleep(LOOK_AGAIN_S)
            datacenters = await _datacenters(session)
        replication = replication or (RING if datacenters.count(local) >= RING else 1)
        logger.info("creating keyspace %s, replication %d", config.cassandra_keyspace, replication)
        for statement in _statements(config.cassandra_keyspace, local, replication):
            await session.query(statement)
    await _agreement(session)
    return local, datacenters.count(local)


def _statements(keyspace: str, datacenter: str, replication: int) -> list[str]:
    lines = (Path(__file__).parent / "schema.cql").read_text().splitlines()
    text = Template("\n".join(line for line in lines if not line.startswith("--")))
    ids = {
        f"{table}_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{keyspace}.{table}") for table in _TABLES
    }
    names = {
        "keyspace": keyspace,
        "datacenter": datacenter.replace("'", "''"),
        "replication": replication,
        **ids,
    }
    return [statement for part in text.substitute(names).split(";") if (statement := part.strip())]


async def _datacenters(session: Any) -> list[str]:
    """The data centre of every node, the contact point's own first."""
    local = await session.query("SELECT data_center FROM system.local")
    peers = await session.query("SELECT data_center FROM system.peers")
    return [row.column_value("data_center") for result in (local, peers) for row in result.all()]


async def _is_there(session: Any, keyspace: str) -> bool:
    statement = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = '%s'"
    result = await session.query(statement % keyspace)  # Config lets letters, digits and _ pass
    return {row.column_value("table_name") for row in result.all()} >= _TABLES


async def _agreement(session: Any) -> None:
    """Waits until every node has the same schema: one that lags does not know a table. Goes on in
    the end, since a dead node never agrees."""
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
