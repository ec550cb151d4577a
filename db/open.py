"""The choice of the store by the settings."""

from __future__ import annotations

from config import Config
from db.cassandra.limit import Limit
from db.store import CatalogueStore


def open_store(config: Config, limit: Limit | None = None) -> CatalogueStore:
    """Return Cassandra's store if ``config`` names a contact point, else SQLite's; not opened yet.
    ``limit`` bounds the reads of requests that are at Cassandra at a time.

    The stores are imported here, because acsylla is a compiled driver that only Cassandra needs.
    """
    if config.cassandra_host:
        from db.cassandra.store import CassandraStore

        return CassandraStore(config, limit)
    from db.embedded import EmbeddedStore

    return EmbeddedStore(config.embedded_path)
