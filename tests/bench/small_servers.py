"""Small real HTTP servers, each wrong in its own way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import repeat

import orjson

from bench.load.loops import OpenLoop, paced
from bench.load.result import Result
from bench.load.wire import Request

Serve = Callable[[str, asyncio.StreamWriter], Awaitable[None]]
"""Answers a request for a path."""


def answer(status: int = 200, body: bytes = b"{}", headers: bytes = b"") -> bytes:
    lines = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%b\r\n"
    return lines % (status, len(body), headers) + body


class SmallServer:
    """Keeps count of its connections; ``serve`` may be changed while it runs."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.connections = self.open = self.most_open = 0
        self.host, self.port = "127.0.0.1", 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                await self.serve(head.split()[1].decode(), writer)
        except (asyncio.IncompleteReadError, OSError):
            return  # the client is gone
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[SmallServer]:
    small = SmallServer(serve)
    listening = await asyncio.start_server(small.accept, small.host, 0)
    small.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield small
        listening.close()
        async with asyncio.timeout(5):
            while small.open:  # noqa: ASYNC110 - clients that leave tell nobody
                await asyncio.sleep(0.01)


def row(video_id: str) -> bytes:
    return orjson.dumps({"status": "success", "data": {"id": video_id}})


def always(response: bytes) -> Serve:
    async def serve(_path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(response)

    return serve


ID = "11111111-1111-4111-8111-111111111111"
PATH = Request("/x")


async def ask(
    server: SmallServer,
    request: Request = PATH,
    times: int = 20,
    rate_s: float = 400.0,
    connections: int = 8,
    give_up_s: float = 5.0,
) -> Result:
    """An even load of one request, to its end."""
    schedule = paced(repeat(request, times), rate_s, poisson=False)
    load = OpenLoop(
        server.host, server.port, schedule, connections=connections, give_up_s=give_up_s
    )
    return await load.run()
