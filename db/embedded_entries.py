"""The genre lists of the embedded store: the order of their lines, and of the writes to a line.

Both orders are Cassandra's. A list is ordered by timeuuid, newest first. Every line carries the
time of the row version that wrote it, so an older write of a line never undoes a newer write,
however late it comes. Dropped lines are remembered for the same reason.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from db.store import Entry
from db.version import version_us

# at the same microsecond the deletion wins, as with Cassandra's timestamps
_PUT = """INSERT INTO entry SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (
    SELECT 1 FROM dropped WHERE genre = ?1 AND position = ?2 AND id = ?3 AND version_us >= ?5)
  ON CONFLICT DO UPDATE SET version = excluded.version, version_us = excluded.version_us
  WHERE version_us < excluded.version_us"""
_DROP = """DELETE FROM entry
  WHERE genre = ?1 AND position = ?2 AND id = ?3 AND version_us <= ?5"""
_REMEMBER = """INSERT INTO dropped SELECT ?1, ?2, ?3, ?5 WHERE true
  ON CONFLICT DO UPDATE SET version_us = excluded.version_us
  WHERE version_us < excluded.version_us"""

_NEWEST_FIRST = 0xFFFF_FFFF_FFFF_FFFF_7F7F_7F7F_7F7F_7F7F


def position(created: str) -> bytes:
    """Return 16 bytes whose ascending order is Cassandra's descending order of timeuuids: by
    timestamp, then by the lower half as signed bytes (``TimeUUIDType``)."""
    ticks = created[15:18] + created[9:13] + created[:8]
    return (int(ticks + created[19:23] + created[24:], 16) ^ _NEWEST_FIRST).to_bytes(16, "big")


def created_at(place: bytes) -> str:
    """Return the timeuuid whose ``position`` is ``place``."""
    text = f"{int.from_bytes(place, 'big') ^ _NEWEST_FIRST:032x}"
    return f"{text[8:16]}-{text[4:8]}-1{text[1:4]}-{text[16:20]}-{text[20:]}"


def lines(genres: Iterable[str], created: str, video_id: str, version: str) -> list[Entry]:
    return [Entry(genre, created, video_id, version) for genre in genres]


def put(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    connection.executemany(_PUT, map(_values, entries))


def drop(connection: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    for values in map(_values, entries):
        connection.execute(_DROP, values)
        connection.execute(_REMEMBER, values)


def _values(entry: Entry) -> tuple[str, bytes, str, str, int]:
    genre, created, video_id, version = entry
    return genre, position(created), video_id, version, version_us(version)
