"""A proxy in front of Cassandra that loses lightweight transactions, or their replies.

It reads the frames of CQL v4: PREPARE tells which statements are transactions, RESULT gives their
ids, and EXECUTE names an id. For a share of the transactions it closes the connection, either
before the frame goes out or once Cassandra has had the time to execute it.
"""

from __future__ import annotations

import asyncio
import random
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from bench.lab.processes import free_ports

HEADER_BYTES = 9
PREPARE, EXECUTE, RESULT = 9, 10, 8
PREPARED = b"\0\0\0\4"
TRANSACTION = b" IF "
EXECUTED_S = 0.3  # longer than a transaction takes


class Link:
    """One connection: ``asked`` has the streams that prepare a transaction."""

    def __init__(self) -> None:
        self.asked: set[int] = set()
        self.is_mute = False


class LostReplies:
    """Forwards to ``host:port``; ``share`` of the transactions, or of their replies, is lost."""

    def __init__(self, host: str, port: int, share: float, seed: int) -> None:
        self.host, (self.port,) = "127.0.0.1", free_ports(1)
        self.share = share
        self.lost = {"before": 0, "after": 0}
        self._upstream = host, port
        self._random = random.Random(seed)
        self._ids: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lost-replies")

    def __enter__(self) -> Self:
        self._thread.start()
        serve = asyncio.start_server(self._accept, self.host, self.port)
        self._server = asyncio.run_coroutine_threadsafe(serve, self._loop).result(5)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks.copy():
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            upstream, server = await asyncio.open_connection(*self._upstream)
            writers.append(server)
            link = Link()
            both = [
                asyncio.create_task(self._pump_there(reader, server, link)),
                asyncio.create_task(self._pump_back(upstream, writer, link)),
            ]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in both:
                    pump.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except OSError:
            pass
        finally:
            for each in writers:
                each.transport.abort()

    async def _pump_there(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                stream, code, frame = await _frame(reader)
                body = frame[HEADER_BYTES:]
                if code == PREPARE and TRANSACTION in body:
                    link.asked.add(stream)
                if code == EXECUTE and self._loses(_short_bytes(body)):
                    if self._random.random() < 0.5:
                        self.lost["before"] += 1
                        return
                    self.lost["after"] += 1
                    link.is_mute = True
                    writer.write(frame)
                    await asyncio.sleep(EXECUTED_S)
                    return
                writer.write(frame)
                await writer.drain()

    async def _pump_back(
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
    """The stream, the opcode and all bytes of the next frame."""
    header = await reader.readexactly(HEADER_BYTES)
    _, _, stream, code, length = struct.unpack(">BBhBI", header)
    return stream, code, header + await reader.readexactly(length)


def _short_bytes(body: bytes) -> bytes:
    (length,) = struct.unpack_from(">H", body)
    return body[2 : 2 + length]
