"""The driver's configuration: time-outs, load balancing, reconnection, TLS, the keyspace's name."""

from __future__ import annotations

from pathlib import Path

import acsylla
from acsylla.errors import CassErrorServerSyntaxError

from config import Config
from db.cassandra import schema

CONNECT_TIMEOUT_S = 3.0
DDL_TIMEOUT_S = 20.0


def make_cluster(config: Config, datacenter: str | None) -> acsylla.Cluster:
    """Return a cluster that stays in ``datacenter``; None: one for any node, to make the schema."""
    return acsylla.create_cluster(
        list(config.cassandra_host),
        port=config.cassandra_port,
        username=config.cassandra_username,
        password=config.cassandra_password,
        ssl_enabled=config.cassandra_ca is not None,
        ssl_trusted_cert=config.cassandra_ca and Path(config.cassandra_ca).read_text(),
        ssl_verify_flags=acsylla.SSLVerifyFlags.PEER_CERT,  # nodes are known by address only
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=config.store_deadline_s if datacenter else DDL_TIMEOUT_S,
        consistency=acsylla.Consistency.LOCAL_QUORUM,
        serial_consistency=acsylla.Consistency.LOCAL_SERIAL,
        load_balance_round_robin=datacenter is None,
        load_balance_dc_aware=datacenter,
        core_connections_per_host=2,  # with one, a dropped connection fails every query for 2 s
        exponential_reconnect_base_delay_ms=100,
        exponential_reconnect_max_delay_ms=500,
        heartbeat_interval_sec=1,  # nothing else notices a silent server
        idle_timeout_sec=3,
        use_schema=datacenter is not None,
        application_name="content",
        log_level="critical",  # each connection logs a missing ScyllaDB feature as an error
    )


async def keyspace_name(session: acsylla.Session, config: Config) -> str:
    """Return the keyspace's name for ``create_session``, quoted only if it is a reserved word.

    The driver compares it with the server's name, which has no quotes. If they differ, the driver
    sends USE before every request. That doubles the round trips, and a silent node gives another
    error."""
    plain = config.cassandra_keyspace.lower()
    try:
        await session.query(f"USE {plain}")  # Config allows only letters, digits and _
    except CassErrorServerSyntaxError:  # a reserved word
        return schema.quoted(config)
    return plain
