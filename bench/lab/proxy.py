"""A TCP proxy on loopback that can be slow, narrow, silent or away, for putting before a server.

A server that is away itself shows as a connection that is accepted and then reset. To be refused,
clients have to be told so by ``refuse()``.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Self

from bench.lab.processes import free_ports

CHUNK_BYTES, NARROW_CHUNK_BYTES = 65_536, 2_048
CHUNKS_MAX = 256  # read but not yet forwarded; above it the sender has to wait, as on a long line
SWITCH_S = 5.0
UNBOUNDED = float("inf")


class Proxy:
    """A proxy of ``host:port``; it switches at once, for connections that are open as well."""

    def __init__(self, host: str, port: int) -> None:
        self.host = "127.0.0.1"
        (self.port,) = free_ports(1)
        self._upstream = host, port
        self._delays_s = (0.0, 0.0)  # to the server, and back
        self._back_bytes_s = UNBOUNDED
        self._free_at_s = 0.0  # when the narrow line has sent what it was given
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self) -> None:
        """Forward at once; every other switch is off."""
        self._back_bytes_s = UNBOUNDED
        self.delay(0.0, 0.0)

    def delay(self, there_s: float, back_s: float) -> None:
        """Delay everything that arrives from now on, on its way to the server, and back."""
        self._delays_s = there_s, back_s
        self._switch(self._listen())
        self._loop.call_soon_threadsafe(self._flowing.set)

    def narrow(self, back_bytes_s: float) -> None:
        """Give all answers together so many bytes a second, as a server of that capacity."""
        self._back_bytes_s = back_bytes_s

    def stall(self) -> None:
        """Accept connections, and forward nothing until another switch; nothing is lost."""
        self._switch(self._listen())
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def cut(self) -> None:
        """Reset every connection; new ones are as before."""
        self._switch(self._cut())

    def refuse(self) -> None:
        """Reset every connection and refuse new ones."""
        self._switch(self._refuse())

    def _switch(self, change: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(change, self._loop).result(SWITCH_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        for task in self._open.copy():
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection, to the end of either side."""
        transports = [writer.transport]
        try:
            replies, requests = await asyncio.open_connection(*self._upstream)
            transports.append(requests.transport)
            there, back = self._pump(reader, requests, 0), self._pump(replies, writer, 1)
            both = [asyncio.create_task(way) for way in (there, back)]
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in both:
                    way.cancel()
                await asyncio.gather(*both, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            for transport in transports:
                transport.abort()
        finally:
            for transport in transports:
                transport.close()  # what was written to it still goes out

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: int
    ) -> None:
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_MAX)
        reading = asyncio.create_task(self._read(reader, chunks, way))
        try:
            with suppress(OSError):
                while True:
                    due_s, data = await chunks.get()
                    await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                    await self._flowing.wait()
                    if way and self._back_bytes_s < UNBOUNDED:
                        now_s = time.monotonic()
                        free_at_s = max(now_s, self._free_at_s) + len(data) / self._back_bytes_s
                        self._free_at_s = free_at_s
                        await asyncio.sleep(free_at_s - now_s)
                    if not data:
                        return
                    writer.write(data)
                    await writer.drain()
        finally:
            reading.cancel()

    async def _read(
        self, reader: asyncio.StreamReader, chunks: asyncio.Queue[tuple[float, bytes]], way: int
    ) -> None:
        data = b"more"
        while data:
            try:
                is_wide = self._back_bytes_s == UNBOUNDED
                data = await reader.read(CHUNK_BYTES if is_wide else NARROW_CHUNK_BYTES)
            except OSError:
                data = b""
            await chunks.put((time.monotonic() + self._delays_s[way], data))
