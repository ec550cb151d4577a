"""Connections too many, and clients that take nothing: the protocol in this process, exactly."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from config import Config
from tests.http.wire import is_refusal, parse, request
from tests.wire.in_process import BOUND_S, Client, Within, connected, echo, serving, until
from wire.limits import SLOW_READER
from wire.protocol import Protocol
from wire.strict import StrictProtocol

CHUNKED = "Transfer-Encoding: chunked"
LARGE_BYTES = 12_000_000  # more than the kernel takes for a client that reads nothing


@asynccontextmanager
async def strict(app: Within) -> AsyncIterator[int]:
    """The port of a server that keeps idle connections for a minute."""
    async with serving(app, StrictProtocol, lifespan="off", timeout_keep_alive=60) as port:
        yield port


async def is_served(client: Client) -> bool:
    """Whether it is answered; not when it is turned away."""
    client.send(request("GET", "/x"))
    answer = await client.answer()
    if answer.status == 200:
        return True
    assert is_refusal(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["connection"] == "close"
    assert await client.rest() == b""
    return False


async def test_as_many_connections_as_the_limit_says_are_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app, counts = Within(echo, Config(connections_max=5)), []
    gauge = app.wire.connections
    set_gauge = gauge.set

    def note(count: float) -> None:
        counts.append(count)
        set_gauge(count)

    monkeypatch.setattr(gauge, "set", note)
    async with strict(app) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(port)) for _ in range(30)]
        served = [client for client in clients if await is_served(client)]
        assert len(served) == 5
        assert app.connections() == 5
        assert app.refused("503") == 25
        for client in served[:2]:  # who goes makes room, who was turned away never took any
            client.writer.close()
        await until(lambda: app.connections() == 3)
        late = [await stack.enter_async_context(connected(port)) for _ in range(4)]
        assert [await is_served(client) for client in late].count(True) == 2
        assert all([await is_served(client) for client in served[2:]])
        assert app.connections() == 5
    assert app.connections() == 0
    assert max(counts) == 5  # who was turned away was not open for a moment


async def test_a_connection_too_many_is_answered_before_it_asks() -> None:
    app = Within(echo, Config(connections_max=1))
    async with strict(app) as port, connected(port) as first, connected(port) as second:
        (answer,) = parse(await second.rest())
        assert is_refusal(answer, 503)
        assert await is_served(first)


async def whole(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers ``/large`` in one piece."""
    size = LARGE_BYTES if scope["path"] == "/large" else 1
    headers = [(b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * size})


async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers ``/large`` in pieces, each when there is room for it."""
    pieces = LARGE_BYTES // 50_000 if scope["path"] == "/large" else 1
    headers = [(b"content-length", b"%d" % (pieces * 50_000))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for left in reversed(range(pieces)):
        piece = {"type": "http.response.body", "body": b"x" * 50_000, "more_body": left > 0}
        await send(piece)


def silent(port: int, data: bytes) -> closing[socket.socket]:
    """A client that asks and never reads."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=BOUND_S)
    connection.sendall(data)
    return closing(connection)


@pytest.mark.parametrize("lines", [(), ("Connection: close",)])
@pytest.mark.parametrize("answers", [whole, streamed])
async def test_who_does_not_take_a_large_answer_is_cut_and_others_are_served(
    answers: ASGIApp, lines: tuple[str, ...]
) -> None:
    """With ``Connection: close`` it is closed already, and what was not sent would keep it open."""
    app = Within(answers, Config(arrival_s=0.4))
    async with strict(app) as port, connected(port) as other:
        with silent(port, request("GET", "/large", *lines)):
            await until(lambda: app.connections() == 2)
            other.send(request("GET", "/small"))
            assert (await other.answer()).status == 200
            await until(lambda: app.connections() == 1)
            assert app.refused(SLOW_READER) == 1
        other.send(request("GET", "/small"))
        assert (await other.answer()).status == 200


async def test_answers_that_nobody_takes_are_held_within_the_budget() -> None:
    budget = 2 * LARGE_BYTES
    app = Within(whole, Config(arrival_s=60.0), budget)
    async with strict(app) as port, connected(port) as other, AsyncExitStack() as stack:
        takers = [await stack.enter_async_context(connected(port)) for _ in range(4)]
        for client in takers:
            client.send(request("GET", "/large", "Connection: close"))
        await until(lambda: app.refused(SLOW_READER) == 2)
        assert 0 <= app.wire.left_bytes < LARGE_BYTES // 10  # not in the kernel's buffers
        other.send(request("GET", "/small"))
        assert (await other.answer()).status == 200
        sizes = sorted([len(await client.rest()) for client in takers])
        assert sizes[1] < LARGE_BYTES < sizes[2]  # two were cut, and two got all
        assert app.wire.left_bytes == budget


async def test_who_reads_slowly_but_steadily_gets_a_large_answer() -> None:
    app = Within(streamed, Config(arrival_s=1.0))
    async with strict(app) as port, connected(port) as client:
        client.send(request("GET", "/large"))
        await client.reader.readuntil(b"\r\n\r\n")
        for _ in range(10):  # ten times 0.2 s: longer than nothing at all may be taken
            await client.reader.readexactly(LARGE_BYTES // 10)
            await asyncio.sleep(0.2)
        assert app.refused(SLOW_READER) == 0


async def test_a_socket_that_is_not_tcp_is_served(tmp_path: Path) -> None:
    loop, path = asyncio.get_running_loop(), str(tmp_path / "socket")
    failures: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, failure: failures.append(failure))
    options: Any = {"lifespan": "off", "log_config": None, "proxy_headers": False}
    config = uvicorn.Config(Within(echo, Config()), **options)
    state = ServerState()
    server = await loop.create_unix_server(lambda: StrictProtocol(config, state, {}), path)
    async with server:
        reader, writer = await asyncio.open_unix_connection(path)
        client = Client(reader, writer)
        assert await is_served(client)
        writer.close()
        await writer.wait_closed()
    assert failures == []


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    """Begins an answer, whose end waits for that of the body."""
    headers = [(b"content-length", b"10")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"12345", "more_body": True})
    while (await receive()).get("more_body"):
        pass


@pytest.mark.parametrize(
    ("status", "lines", "body"),
    [("408", "Content-Length: 2", b"x"), ("400", CHUNKED, b"1\r\nx\r\nwrong\r\n")],
)
async def test_a_refusal_in_the_midst_of_an_answer_is_its_end_without_a_word(
    status: str, lines: str, body: bytes
) -> None:
    app = Within(half, Config(arrival_s=0.4))
    async with strict(app) as port, connected(port) as client:
        client.send(request("POST", "/", lines))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        client.send(body)
        assert await client.rest() == b"12345"
        assert app.refused(status) == 1


async def test_bytes_behind_a_refused_body_are_not_refused_again() -> None:
    app = Within(echo, Config())
    async with strict(app) as port, connected(port) as client:
        bad = request("POST", "/bad", CHUNKED) + b"wrong\r\n"
        client.send(request("GET", "/1") + request("GET", "/2?0.3") + bad)
        assert (await client.answer()).json()["path"] == "/1"
        client.send(b"more")
        assert [answer.json()["path"] for answer in parse(await client.rest())] == ["/2"]
        assert app.refused("400") == 1


@pytest.mark.parametrize("protocol", [StrictProtocol, Protocol])
async def test_what_was_refused_is_not_done_when_its_rest_comes(
    protocol: type[StrictProtocol], caplog: pytest.LogCaptureFixture
) -> None:
    """While the connection lingers, so that its client can read the refusal."""
    done = []

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        while message.get("more_body"):
            message = await receive()
        done.append(message["type"])
        await echo(scope, receive, send)

    app = Within(note, Config(arrival_s=0.2))
    async with serving(app, protocol, lifespan="off") as port, connected(port) as client:
        client.send(request("POST", "/1", body=b"whole")[:-1])
        assert is_refusal(await client.answer(), 408)
        client.send(b"e" + request("GET", "/2"))
        assert await client.rest() == b""
        await until(lambda: bool(done))
        await asyncio.sleep(0.05)
    assert done == ["http.disconnect"]
    assert not caplog.records


async def test_a_handler_that_is_at_what_is_refused_says_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)  # asks for no body
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        done.append(scope["path"])

    app = Within(answer, Config())
    async with strict(app) as port, connected(port) as client:
        client.send(request("GET", "/1", CHUNKED) + b"wrong\r\n")
        assert is_refusal(await client.answer(), 400)
        assert await client.rest() == b""
        await until(lambda: bool(done))
    assert not caplog.records
