"""The budget of a worker for requests that have no answer yet: what is above it is refused with
503, what is small is served all the same, and all of it is given back however a request ends."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from config import Config
from tests.http.wire import is_refusal, parse, request
from tests.wire.in_process import Client, Within, connected, echo, serving, until
from wire.limits import FREE_BYTES, HELD_MAX_BYTES, QUEUED_BYTES
from wire.protocol import Protocol
from wire.strict import PIECE_BYTES, StrictProtocol

KIB = 1_024
BUDGET = 500 * KIB
BODY_BYTES = 60 * KIB
STALLED_BODY = request("POST", "/", f"Content-Length: {BODY_BYTES + 1}") + b"x" * BODY_BYTES
LINES = [f"X-{number}: {'y' * 150}" for number in range(80)]
STALLED_HEAD = request("GET", "/", *LINES)[:-2]
CHUNKS = (
    request("POST", "/", "Transfer-Encoding: chunked") + b"1000\r\n%b\r\n" % (b"x" * 4_096) * 15
)
WAITING = request("GET", "/first?0.5") + request("GET", "/") * 1_500
LAST = request("GET", "/last", "Connection: close")
FIRST, TINY = request("GET", "/first?0.3"), b"GET /tiny HTTP/1.1\r\nHost:\r\n\r\n"
FIELDS = TINY[:-2] + b"".join(b"%d:y\r\n" % number for number in range(10, 100)) + b"\r\n"


@asynccontextmanager
async def strict(app: Within, protocol: type[StrictProtocol]) -> AsyncIterator[int]:
    async with serving(app, protocol, lifespan="off", timeout_keep_alive=60) as port:
        yield port


def limited(**limits: float) -> Within:
    return Within(echo, Config(**limits), BUDGET)  # type: ignore[arg-type]


async def is_served(client: Client) -> bool:
    client.send(request("POST", "/x", body=b"y" * 1_000))
    return (await client.answer()).status == 200


@pytest.mark.parametrize("protocol", [StrictProtocol, Protocol])
@pytest.mark.parametrize("stalled", [STALLED_BODY, STALLED_HEAD, CHUNKS])
async def test_no_more_is_held_than_the_budget_allows(
    stalled: bytes, protocol: type[StrictProtocol]
) -> None:
    app, number = limited(), 60
    async with strict(app, protocol) as port, connected(port) as other:
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(port)) for _ in range(number)]
            for client in clients:
                client.send(stalled)
            most = BUDGET // (len(stalled) - FREE_BYTES)
            await until(lambda: app.refused("503") >= number - most)
            assert app.refused("503") < number
            assert app.wire.left_bytes >= 0
            assert await is_served(other)  # a small request needs nothing of the budget
        await until(lambda: app.connections() == 1)
        assert app.wire.left_bytes == BUDGET
        other.send(STALLED_BODY + b"x")
        assert (await other.answer()).status == 200
        assert app.wire.left_bytes == BUDGET


async def test_a_request_above_the_budget_is_told_when_to_come_again() -> None:
    app = Within(echo, Config(), 50 * KIB)
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(STALLED_BODY)
        (answer,) = parse(await client.rest())
        assert is_refusal(answer, 503)
        assert answer.headers["retry-after"] == "1"
        assert app.refused("503") == 1


@pytest.mark.parametrize(
    ("end", "start", "status"),
    [
        (b"x", STALLED_BODY, 200),
        (b"", STALLED_BODY, 408),
        (b"", STALLED_HEAD, 408),
        (b"0\r\n\r\n", CHUNKS, 200),
        (b"wrong\r\n", CHUNKS, 400),
        (b"X: " + b"y" * 9_000, STALLED_HEAD, 431),
    ],
)
async def test_all_is_given_back_however_a_request_ends(
    start: bytes, end: bytes, status: int
) -> None:
    app = limited(arrival_s=0.8)
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(start)
        await until(lambda: app.wire.left_bytes < BUDGET)
        client.send(end)
        assert (await client.answer()).status == status
        assert app.wire.left_bytes == BUDGET
        assert app.connections() == 1
    await until(lambda: app.connections() == 0)
    assert app.wire.left_bytes == BUDGET


@pytest.mark.parametrize("protocol", [StrictProtocol, Protocol])
@pytest.mark.parametrize(
    "sent", [STALLED_BODY, STALLED_BODY + b"x", STALLED_HEAD, request("GET", "/x"), WAITING]
)
async def test_a_connection_that_is_lost_is_freed_at_once(
    sent: bytes, protocol: type[StrictProtocol]
) -> None:
    """Not by the collector of cycles, which runs seldom: each would keep its memory until then."""
    made: list[weakref.ref[StrictProtocol]] = []

    class Noted(protocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:
            made.append(weakref.ref(self))
            super().connection_made(transport)

    app = limited()
    gc.disable()
    try:
        async with strict(app, Noted) as port:
            for _ in range(2):
                async with connected(port) as client:
                    client.send(sent)
                    await asyncio.sleep(0.05)
            await until(lambda: len(made) == 2 and all(each() is None for each in made))
    finally:
        gc.enable()


@pytest.mark.parametrize(("budget_bytes", "is_enough"), [(BUDGET, True), (30 * KIB, False)])
async def test_bytes_behind_requests_that_wait_count(budget_bytes: int, is_enough: bool) -> None:
    """The first request gets its answer, whether its connection then ends or not."""
    app = Within(echo, Config(), budget_bytes)
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(WAITING + LAST)
        paths = [answer.json()["path"] for answer in parse(await client.rest())]
        assert paths[0] == "/first"
        assert (paths[-1] == "/last") is is_enough
        assert (app.refused("503") == 0) is is_enough
        assert app.wire.left_bytes == budget_bytes


@pytest.mark.parametrize(("one", "objects"), [(TINY, 120 * QUEUED_BYTES), (FIELDS, 5 * 90 * 150)])
@pytest.mark.parametrize("is_enough", [True, False])
async def test_small_requests_that_wait_count_with_their_objects(
    one: bytes, objects: int, is_enough: bool
) -> None:
    """Without room nearly all are dropped, because they would be in memory until their answers."""
    count, budget = PIECE_BYTES // len(one) - 2, BUDGET if is_enough else 30 * KIB
    app = Within(echo, Config(), budget)
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(FIRST + one * count + LAST)
        if is_enough:
            await until(lambda: app.wire.left_bytes < budget - objects)
        paths = [answer.json()["path"] for answer in parse(await client.rest())]
        if is_enough:
            assert paths == ["/first", *["/tiny"] * count, "/last"]
        else:
            assert paths in (["/first"], ["/first", "/tiny"])
        assert (app.refused("503") == 0) is is_enough
        assert app.wire.left_bytes == budget


async def test_the_charge_for_small_requests_falls_as_they_are_answered() -> None:
    app, count = Within(echo, Config(), BUDGET), 60
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(FIRST + b"GET /tiny?0.005 HTTP/1.1\r\nHost:\r\n\r\n" * count)
        await until(lambda: BUDGET - app.wire.left_bytes > QUEUED_BYTES * count - FREE_BYTES)
        for number in range(count + 1):
            assert (await client.answer()).status == 200
            most = QUEUED_BYTES * (count + 1 - number)
            assert BUDGET - app.wire.left_bytes <= most + FREE_BYTES
        assert app.wire.left_bytes == BUDGET


async def test_ordinary_pipelining_on_hundreds_of_connections_is_served() -> None:
    app, depth = Within(echo, Config()), 16
    async with strict(app, StrictProtocol) as port, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(port)) for _ in range(300)]
        for client in clients:
            client.send(request("GET", "/?0.1") + request("GET", "/", "Accept: */*") * (depth - 1))
        for client in clients:
            assert [(await client.answer()).status for _ in range(depth)] == [200] * depth
        assert app.refused("503") == 0
        assert app.wire.left_bytes == HELD_MAX_BYTES


@pytest.mark.parametrize("protocol", [StrictProtocol, Protocol])
@pytest.mark.parametrize(
    "sent",
    [
        request("GET", "/x", *LINES),
        request("GET", "/" + "x" * 8_000),
        request("GET", "/x", *(f"X-{number}: y" for number in range(90))),
        request("POST", "/x", body=b"y" * 60 * KIB),
    ],
)
async def test_a_large_request_that_was_answered_is_not_kept(
    sent: bytes, protocol: type[StrictProtocol]
) -> None:
    async with strict(limited(), protocol) as port, connected(port) as client:
        for _ in range(2):
            client.send(sent)
            assert (await client.answer()).status == 200
            (one,) = [each for each in gc.get_objects() if type(each) is protocol]
            assert not one.headers
            assert not one.url
            assert one.cycle is one._turn


async def early(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers before the body has come, and does not read it."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def test_a_body_behind_its_answer_takes_nothing_of_the_budget() -> None:
    app = Within(early, Config(), BUDGET)
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(request("GET", "/", "Content-Length: 1000000000"))
        assert (await client.answer()).status == 200
        client.send(b"x" * 2 * BUDGET)
        await client.writer.drain()
        await asyncio.sleep(0.1)
        assert app.wire.left_bytes == BUDGET
        assert app.refused("503") == 0


async def test_a_body_that_never_follows_its_answer_ends_the_connection_in_silence() -> None:
    app = Within(early, Config(arrival_s=0.3), BUDGET)
    async with strict(app, StrictProtocol) as port, connected(port) as client:
        client.send(request("DELETE", "/", "Content-Length: 10"))
        assert (await client.answer()).status == 200
        assert await client.rest() == b""
        assert app.refused("408") == 0
