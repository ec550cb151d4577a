"""Which store the settings ask for."""

from __future__ import annotations

from config import Config
from db.limit import Limit
from db.store import CatalogueStore


def open_store(config: Config, limit: Limit | None = None) -> CatalogueStore:
    """Cassandra when a contact point is named, SQLite otherwise; ``open()`` is left to the caller.
    ``limit``: how many reads of requests may be at Cassandra at a time.

    Imported here and not above: acsylla is a compiled driver that only Cassandra needs.
    """
    if config.cassandra_host:
        from db.cassandra_store import CassandraStore

        return CassandraStore(config, limit)
    from db.embedded import EmbeddedStore

    return EmbeddedStore(config.embedded_path)
