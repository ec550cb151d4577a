"""How far a read goes through the code: calls of ours, files, and changes of file for one request.

`python -m bench.calls` starts a Redis and a Cassandra, runs the service in this process, and looks
with `sys.setprofile` at one GET of a row: a miss (lane, lease and fill), a Redis hit and a near
hit, each on a connection that has asked before.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

import uvicorn

from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.targets import ROOT
from config import Config
from service import create_app
from wire.protocol import Protocol

AFTER_S = 0.02  # a fill goes on behind its answer
TIMES = 20
"""The shortest trail of so many counts: in the others the service did something of its own, too."""
OURS = tuple(
    str(ROOT / place)
    for place in ("api/", "cache/", "db/", "middleware/", "wire/", "errors", "etags", "priority")
)


class Trail:
    """The files of our functions, in the order of their calls."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._frames: set[FrameType] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(OURS) and frame not in self._frames:
            self._frames.add(frame)  # a coroutine that goes on has the same
            self.files.append(name)

    def line(self, name: str) -> str:
        """Return a line of the table."""
        changes = sum(a != b for a, b in zip(self.files, self.files[1:], strict=False))
        return f"| {name} | {len(self.files)} | {len(set(self.files))} | {changes} |"


@asynccontextmanager
async def serving(config: Config) -> AsyncIterator[int]:
    """Run the service in this process; yield its port."""
    options: dict[str, Any] = {"access_log": False, "log_config": None, "proxy_headers": False}
    app = create_app(config)
    server = uvicorn.Server(uvicorn.Config(app, http=Protocol, ws="none", lifespan="on", **options))
    listener = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server._serve([listener]))
    while not (server.started and await is_ready(listener)):  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    yield listener.getsockname()[1]
    server.should_exit = True
    await running


async def is_ready(listener: socket.socket) -> bool:
    """Return whether both Cassandra and Redis are there."""
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    said = await reader.read()
    writer.close()
    return b'"store":"up"' in said and b'"redis":"up"' in said


async def ask(port: int, path: str, layer: bytes) -> Trail:
    """Get a row on one connection, and return the shortest trail of an answer by ``layer``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    trails = []
    for _ in range(TIMES):
        trail = Trail()
        sys.setprofile(trail)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        await asyncio.sleep(AFTER_S)
        sys.setprofile(None)
        if b"detail=" + layer in head:
            trails.append(trail)
    writer.close()
    return min(trails, key=lambda trail: len(trail.files))


async def trails(settings: Mapping[str, str], path: str) -> list[str]:
    """Return the table's lines."""
    lines = []
    uncached = {"NEAR_BYTES": "0", "REDIS_TTL_S": "0.001", "STALE_S": "0"}
    for name, layer, more in (
        ("miss, with lease and fill", b"store", uncached),
        ("Redis hit", b"redis", {"NEAR_BYTES": "0"}),
        ("near hit", b"near", {}),
    ):
        config = Config.from_env({**settings, **more, "CASSANDRA_KEYSPACE": "calls"})
        async with serving(config) as port:
            lines.append((await ask(port, path, layer)).line(name))
    return lines


async def made(settings: Mapping[str, str]) -> str:
    """Make a row, and return its path."""
    async with serving(Config.from_env({**settings, "CASSANDRA_KEYSPACE": "calls"})) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"title": "A row", "genres": ["Drama"], "isMovie": true}'
        head = b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 201"), answer
        writer.close()
    return "/" + answer.partition(b"location: ")[2].split(b"\r\n")[0].decode()


def main() -> None:
    """Print a line for each kind of read."""
    argparse.ArgumentParser(prog="python -m bench.calls", description=__doc__).parse_args()
    with CassandraNode() as cassandra, RedisServer() as redis:
        settings = settings_of(cassandra, redis)
        path = asyncio.run(made(settings))
        print("| request | calls | files | changes of file |\n|---|---|---|---|")
        print("\n".join(asyncio.run(trails(settings, path))))


if __name__ == "__main__":
    main()
