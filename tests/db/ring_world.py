"""A ring under load: what each node says of itself, and every request that failed, with its time.

``ask`` speaks to one node and no other, which the driver's sessions are made to avoid.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, NamedTuple

import orjson

from bench.servers import CassandraNode, ServerError
from db.cassandra_store import CassandraStore
from db.catalog.generator import Generator
from db.version import Expected, new_id
from db.video import Changes
from errors import ServiceError
from tests.db.samples import draft

ONE, ALL = 0x0001, 0x0005
_STARTUP, _QUERY, _RESULT, _ROWS = 0x01, 0x07, 0x08, 2
_SKIP_METADATA, _WARNED = 0x02, 0x08
READS_PER_S, WRITES_PER_S = 300, 15


def ask(node: CassandraNode, cql: str, consistency: int = ONE) -> list[list[bytes]]:
    """The cells of the rows with which this very node answers; raises ServerError with its words."""
    with socket.create_connection((node.host, node.port), timeout=60) as connection:
        stream = connection.makefile("rb")
        pairs = [_string(text) for text in ("CQL_VERSION", "3.0.0")]
        connection.sendall(_frame(_STARTUP, struct.pack(">H", 1) + b"".join(pairs)))
        _answer(stream)
        text = cql.encode()
        query = (
            struct.pack(">I", len(text)) + text + struct.pack(">HB", consistency, _SKIP_METADATA)
        )
        connection.sendall(_frame(_QUERY, query))
        opcode, body = _answer(stream)
    return _cells(body) if opcode == _RESULT else []


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _frame(opcode: int, body: bytes) -> bytes:
    return struct.pack(">BBhBI", 0x04, 0, 0, opcode, len(body)) + body


def _answer(stream: BinaryIO) -> tuple[int, bytes]:
    _, flags, _, opcode, size = struct.unpack(">BBhBI", stream.read(9))
    body = stream.read(size)
    if opcode == 0:
        raise ServerError(body[6:].decode(errors="replace"))
    if flags & _WARNED:
        at = 2
        for _ in range(int.from_bytes(body[:2], "big")):
            at += 2 + int.from_bytes(body[at : at + 2], "big")
        body = body[at:]
    return opcode, body


def _cells(body: bytes) -> list[list[bytes]]:
    kind, _, columns, rows = struct.unpack_from(">IIII", body) if len(body) >= 16 else (0, 0, 0, 0)
    if kind != _ROWS:
        return []
    at, found = 16, []
    for _ in range(rows * columns):
        (size,) = struct.unpack_from(">i", body, at)
        found.append(body[at + 4 : at + 4 + max(size, 0)])
        at += 4 + max(size, 0)
    return [found[start : start + columns] for start in range(0, len(found), columns)]


async def whole(ring: Sequence[CassandraNode], table: str) -> int:
    """How many rows a table has; returns when every node sees every other one up."""
    async with asyncio.timeout(60):
        while True:
            try:
                counts = [
                    await asyncio.to_thread(ask, node, f"SELECT COUNT(*) FROM {table}", ALL)
                    for node in ring
                ]
            except (ServerError, OSError):
                await asyncio.sleep(0.2)
                continue
            numbers = {int.from_bytes(count[0][0], "big") for count in counts}
            assert len(numbers) == 1
            return numbers.pop()
