"""A client of the consistency check: one connection that is kept alive."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

ANSWER_S = 20.0  # no write may take longer than that, whatever happens to it
NO_ANSWER = 0
"""The status of a request whose connection ended before the answer."""


class Answer(NamedTuple):
    """An answer to a request."""

    status: int
    tag: str
    body: bytes


class Client:
    """One kept-alive connection, one request at a time: a client library costs a millisecond of
    the CPU that the servers need, and as much between an answer and our knowing it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        """Send a request, and return its answer; raises ConnectionRefusedError if nothing listens.

        Raises TimeoutError after ANSWER_S, because no write takes longer.
        """
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            return await self._exchange(*self._streams, method, path, body, headers)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return Answer(NO_ANSWER, "", b"")

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        body: bytes,
        headers: str,
    ) -> Answer:
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{headers}\r\n"
        writer.write(head.encode() + body)
        async with asyncio.timeout(ANSWER_S):
            line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(each.split(": ", 1) for each in rest if each)
            answer = await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            await self.close()
        return Answer(int(line.split()[1]), fields.get("etag", ""), answer)

    async def close(self) -> None:
        """Close the connection; the next request opens another one."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
