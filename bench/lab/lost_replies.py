"""A proxy in front of Cassandra that loses lightweight transactions, or their replies.

It reads the frames of CQL v4: PREPARE tells which statements are transactions, RESULT gives their
ids, and EXECUTE names an id. For a share of the transactions it closes the connection, either
before the frame goes out or once Cassandra has had the time to execute it.
"""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from bench.lab.proxy import Proxy, Streams

HEADER_BYTES = 9
PREPARE, EXECUTE, RESULT = 9, 10, 8
PREPARED = b"\0\0\0\4"
TRANSACTION = b" IF "
EXECUTED_S = 0.3  # longer than a transaction takes


class Link:
    """The state of one connection: ``asked`` has the streams that prepare a transaction."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        self.is_mute = False


class LostReplies(Proxy):
    """A proxy of ``host:port``; ``share`` of the transactions, or of their replies, is lost."""

    def __init__(self, host: str, port: int, share: float, seed: int) -> None:
        super().__init__(host, port)
        self.share = share
        self.lost = {"before": 0, "after": 0}
        self._random = random.Random(seed)
        self._ids: set[bytes] = set()

    def _ways(self, client: Streams, server: Streams) -> list[Coroutine[Any, Any, None]]:
        link = Link()
        return [self._there(client[0], server[1], link), self._back(server[0], client[1], link)]

    async def _there(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                stream, code, frame = await _frame(reader)
                body = frame[HEADER_BYTES:]
                if code == PREPARE and TRANSACTION in body:
                    link.asked.add(stream)
                if code == EXECUTE and self._loses(_short_bytes(body)):
                    await self._lose(writer, frame, link)
                    return
                writer.write(frame)
                await writer.drain()

    async def _lose(self, writer: asyncio.StreamWriter, frame: bytes, link: Link) -> None:
        if self._random.random() < 0.5:
            self.lost["before"] += 1
            return
        self.lost["after"] += 1
        link.is_mute = True
        writer.write(frame)
        await asyncio.sleep(EXECUTED_S)

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                stream, code, frame = await _frame(reader)
                body = frame[HEADER_BYTES:]
                if code == RESULT and body.startswith(PREPARED) and stream in link.asked:
                    link.asked.discard(stream)
                    self._ids.add(_short_bytes(body[len(PREPARED) :]))
                if not link.is_mute:
                    writer.write(frame)
                    await writer.drain()

    def _loses(self, statement: bytes) -> bool:
        return statement in self._ids and self._random.random() < self.share


async def _frame(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    """Return the stream, the opcode and all bytes of the next frame."""
    header = await reader.readexactly(HEADER_BYTES)
    _, _, stream, code, length = struct.unpack(">BBhBI", header)
    return stream, code, header + await reader.readexactly(length)


def _short_bytes(body: bytes) -> bytes:
    (length,) = struct.unpack_from(">H", body)
    return body[2 : 2 + length]
