"""The protocol on a server in the test's own loop, where limits can be short and calls counted."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send

from cache.near import Near
from cache.redis.absent import NoRedis
from config import Config
from drain import Drain
from middleware.onion import Context
from middleware.timing import RequestMetrics
from tests.http.wire import Answer, parse
from wire.lane import Lane
from wire.limits import HELD_MAX_BYTES, Wire
from wire.protocol import Protocol
from wire.strict import StrictProtocol

BOUND_S = 10.0


@asynccontextmanager
async def serving(app: Any, protocol: Any = None, **options: Any) -> AsyncIterator[int]:
    """The port of a server that runs as ``server.py`` has it, but for ``options``."""
    protocol = protocol or (Protocol if hasattr(app.state, "lane") else StrictProtocol)
    fixed = {"ws": "none", "server_header": False, "access_log": False, "log_config": None}
    fixed["proxy_headers"] = False  # a wrapper around the app would hide its lane
    config = uvicorn.Config(app, http=protocol, **{**fixed, "lifespan": "on", **options})
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    running = asyncio.create_task(server._serve([listener]))
    try:
        while not server.started:
            assert not running.done()
            await asyncio.sleep(0.005)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listener.close()


async def never(ctx: Context) -> None:
    """A handler of a lane that is asked for no row."""
    raise AssertionError(ctx.scope["path"])


class Within:
    """An application whose wire has its own limits and counts, and whose lane finds nothing."""

    def __init__(self, app: ASGIApp, limits: Config, held_max_bytes: int = HELD_MAX_BYTES) -> None:
        self.app = app
        self.registry = CollectorRegistry()
        self.wire = Wire(limits, self.registry, held_max_bytes)
        near = Near(0, 1.0)
        metrics, drain = RequestMetrics(CollectorRegistry()), Drain()
        lane = Lane(near, NoRedis(near).ask, lambda: None, never, metrics, b"no-cache", drain)
        self.state = State({"wire": self.wire, "lane": lane})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def refused(self, status: str) -> float:
        """How many connections ended for it."""
        found = self.registry.get_sample_value("content_wire_refusals_total", {"status": status})
        assert found is not None, status
        return found

    def connections(self) -> float | None:
        """How many are open."""
        return self.registry.get_sample_value("content_connections")


class Client:
    """One connection; what it says is read only when asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> Answer:
        """The next one, of a request that is not HEAD."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), BOUND_S)
        (empty,) = parse(head, ["HEAD"])
        has_body = empty.status >= 200 and empty.status not in (204, 304)
        length = int(empty.headers["content-length"]) if has_body else 0
        body = await asyncio.wait_for(self.reader.readexactly(length), BOUND_S)
        return empty._replace(body=body)

    async def rest(self) -> bytes:
        """Everything until it is closed or reset; fails when it is not."""
        said = b""
        with suppress(ConnectionResetError):
            while piece := await asyncio.wait_for(self.reader.read(65_536), BOUND_S):
                said += piece
        return said

    async def closed_after_s(self) -> float:
        """How long it takes until it is closed without another word."""
        began = time.monotonic()
        assert await self.rest() == b""
        return time.monotonic() - began


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    # pytest listens even to loggers that pass nothing on; who has an access log has no lane
    logging.getLogger("uvicorn.access").handlers.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def asked_of_lane(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets of the requests that the lane looks at from now on."""
    asked: list[str] = []
    near = Lane.near

    def noted(lane: Lane, target: str, *rest: Any) -> bytes | None:
        asked.append(target)
        return near(lane, target, *rest)

    monkeypatch.setattr(Lane, "near", noted)
    return asked


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds; fails when that takes too long."""
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says what it was asked, after as many seconds as ``?`` says."""
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await asyncio.sleep(float(scope["query_string"] or 0))
    said = {
        "method": scope["method"],
        "path": scope["path"],
        "version": scope["http_version"],
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": body.decode("latin-1"),
    }
    content = orjson.dumps(said)
    headers = [(b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})
