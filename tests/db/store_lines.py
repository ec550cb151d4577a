"""All rows and the lines of all genre lists, read from the store itself, for checks."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import TypeVar

import orjson

from config import Config
from db.cassandra.session import make_cluster
from db.cassandra.statements import CQL
from db.cassandra.store import CassandraStore
from db.cassandra.writes import parse
from db.embedded import NEWEST_FIRST
from db.store import CatalogueStore, Stored

T = TypeVar("T")
SCAN = CQL["find_row"].removesuffix(" WHERE id = ?")

Line = tuple[str, str, str]
"""A line's genre, the time of its row's creation, and the id of its row."""


async def flat(pages: AsyncIterator[list[T]]) -> list[T]:
    """Return the items of all pages."""
    return [each async for page in pages for each in page]


async def rows_of(store: CatalogueStore, config: Config) -> list[Stored]:
    """Return every row of the ``store`` of ``config``, in the order of ids."""
    if isinstance(store, CassandraStore):
        session = await make_cluster(config, None).create_session(config.cassandra_keyspace)
        try:
            result = await session.query(SCAN)
            rows = [parse(row.column_value_by_index(0)) for row in result.all()]
        finally:
            await session.close()
        return [stored._replace(listed=None) for stored in rows]
    with closing(sqlite3.connect(config.embedded_path)) as connection:
        found = connection.execute("SELECT body, created, request_hash FROM video ORDER BY id")
        return [Stored(orjson.loads(body), *hidden) for body, *hidden in found]


async def lines(store: CatalogueStore, config: Config) -> list[Line]:
    """Return every line of the ``store`` of ``config``, also a line without a row."""
    if isinstance(store, CassandraStore):
        return [entry[:3] for entry in await flat(store.entries())]
    with closing(sqlite3.connect(config.embedded_path)) as connection:
        found = connection.execute("SELECT genre, position, id FROM entry")
        return [(genre, created_at(place), video_id) for genre, place, video_id in found]


def created_at(place: bytes) -> str:
    """Return the timeuuid whose ``position`` is ``place``."""
    text = f"{int.from_bytes(place, 'big') ^ NEWEST_FIRST:032x}"
    return f"{text[8:16]}-{text[4:8]}-1{text[1:4]}-{text[16:20]}-{text[20:]}"
