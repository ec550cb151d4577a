"""How far a read goes through the code: calls, files, and changes of file for one request."""

import argparse
import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from types import FrameType
from typing import Any

import orjson
import uvicorn

from bench.cost import UNCACHED
from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.targets import ROOT
from config import Config
from service import create_app
from wire.protocol import Protocol

AFTER_S = 0.02  # a fill goes on behind its answer
TIMES = 20
"""The shortest trail of so many counts: in the others the service did something of its own, too."""
DRAFT = {"title": "A row", "genres": ["Drama"], "isMovie": True}
READS = (
    ("miss, with lease and fill", "store", UNCACHED),
    ("Redis hit", "redis", {"NEAR_BYTES": "0"}),
    ("near hit", "near", dict[str, str]()),
)
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
async def serving(config: Config) -> AsyncIterator[HTTPConnection]:
    """Run the service in this process; yield a connection, for other threads, once it is ready."""
    options: dict[str, Any] = {"access_log": False, "log_config": None, "proxy_headers": False}
    app = create_app(config)
    server = uvicorn.Server(uvicorn.Config(app, http=Protocol, ws="none", lifespan="on", **options))
    listener = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server._serve([listener]))
    connection = HTTPConnection(*listener.getsockname())
    while b'"state":"ready"' not in (await ask(connection, "GET", "/readyz"))[1]:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    yield connection
    connection.close()
    server.should_exit = True
    await running


async def ask(
    connection: HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[str, bytes]:
    """Send a request on a connection that stays open; return its Cache-Status and its body."""

    def exchange() -> tuple[str, bytes]:
        connection.request(method, path, body or None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.headers.get("cache-status", ""), response.read()

    return await asyncio.to_thread(exchange)


async def shortest(connection: HTTPConnection, path: str, layer: str) -> Trail:
    """Get a row again and again, and return the shortest trail of an answer by ``layer``."""
    trails = []
    for _ in range(TIMES):
        trail = Trail()
        sys.setprofile(trail)
        status, _ = await ask(connection, "GET", path)
        await asyncio.sleep(AFTER_S)
        sys.setprofile(None)
        if f"detail={layer}" in status:
            trails.append(trail)
    return min(trails, key=lambda trail: len(trail.files))


async def measure(settings: Mapping[str, str]) -> None:
    """Make a row, and print a line for each kind of read."""
    settings = {**settings, "CASSANDRA_KEYSPACE": "calls"}
    async with serving(Config.from_env(settings)) as connection:
        _, body = await ask(connection, "POST", "/content", orjson.dumps(DRAFT))
    path = f"/content/{orjson.loads(body)['data']['id']}"
    print("| request | calls | files | changes of file |\n|---|---|---|---|")
    for name, layer, more in READS:
        async with serving(Config.from_env({**settings, **more})) as connection:
            print((await shortest(connection, path, layer)).line(name))


def main() -> None:
    """Run from the command line."""
    argparse.ArgumentParser(prog="python -m bench.calls", description=__doc__).parse_args()
    with CassandraNode() as cassandra, RedisServer() as redis:
        asyncio.run(measure(settings_of(cassandra, redis)))


if __name__ == "__main__":
    main()
