"""Which store the settings ask for."""

from __future__ import annotations

from config import Config
from db.store import CatalogueStore


def open_store(config: Config) -> CatalogueStore:
    """Cassandra when a contact point is named, SQLite otherwise; ``open()`` is left to the caller.

    Imported here and not above: acsylla is a compiled driver that only Cassandra needs.
    """
    if config.cassandra_host:
        from db.cassandra_store import CassandraStore

        return CassandraStore(config)
    from db.embedded import EmbeddedStore

    return EmbeddedStore(config.embedded_path)
