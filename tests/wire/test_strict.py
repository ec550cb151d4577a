"""The strict protocol by itself: times, framing, offers to upgrade, trailers, order of refusals.

What it refuses, and in which words, is held over the whole service by ``tests/http/test_wire_*``.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from config import Config
from tests.http.wire import is_refusal, parse, request
from tests.wire.in_process import Client, Within, connected, echo, serving
from wire.strict import StrictProtocol

UPGRADE = ("Connection: Upgrade", "Upgrade: h2c")
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """On a server that gives a head 0.4 s to arrive, and a body again."""
    app = Within(echo, Config(arrival_s=0.4))
    async with (
        serving(app, StrictProtocol, lifespan="off", timeout_keep_alive=600) as port,
        connected(port) as client,
    ):
        yield client


async def cut_off(client: Client) -> tuple[list[int], float]:
    """The statuses that come until it is closed, and after how long that is."""
    began = time.monotonic()
    answers = parse(await client.rest())
    assert all(is_refusal(answer, 408) for answer in answers)
    return [answer.status for answer in answers], time.monotonic() - began


async def test_a_connection_that_says_nothing_ends(client: Client) -> None:
    statuses, taken_s = await cut_off(client)
    assert statuses == []
    assert taken_s > 0.3


@pytest.mark.parametrize(
    "start",
    [
        *(b"G", b"GET /x HTTP/1.1\r\n", b"GET /x HTTP/1.1\r\nHost: x\r\nX: "),
        request("POST", "/", "Content-Length: 2"),
        request("POST", "/", "Content-Length: 2") + b"x",
        request("POST", "/", CHUNKED) + b"1\r\nx\r\n",
        request("POST", "/", "Content-Length: 2", *UPGRADE),
    ],
)
async def test_what_does_not_arrive_in_time_is_a_408(client: Client, start: bytes) -> None:
    client.send(start)
    statuses, taken_s = await cut_off(client)
    assert statuses == [408]
    assert taken_s > 0.3


async def test_bytes_now_and_then_win_no_time(client: Client) -> None:
    client.send(b"GET /x HTTP/1.1\r\nX: ")
    end = asyncio.create_task(cut_off(client))
    while not end.done():
        client.send(b"x")
        await asyncio.sleep(0.05)
    statuses, taken_s = await end
    assert statuses in ([408], [])  # a byte behind the end of a connection resets it
    assert taken_s > 0.3


async def test_a_body_has_its_own_time_and_a_later_request_too(client: Client) -> None:
    for _ in range(2):
        for piece in (b"POST / HTTP/1.1\r\nHost: x\r\n", b"Content-Length: 2\r\n\r\n", b"x", b"y"):
            client.send(piece)
            await asyncio.sleep(0.15)  # 0.3 s for the head, 0.3 s for the body
        assert (await client.answer()).json()["body"] == "xy"


async def test_an_answer_may_take_longer_than_the_request(client: Client) -> None:
    client.send(request("GET", "/x?0.7"))
    assert (await client.answer()).status == 200
    await asyncio.sleep(0.6)  # and so may the pause before the next
    client.send(request("GET", "/x"))
    assert (await client.answer()).status == 200
    client.send(b"GET /")  # whose time counts from its first byte
    statuses, taken_s = await cut_off(client)
    assert statuses == [408]
    assert taken_s > 0.3


async def test_a_head_within_the_limit_may_come_in_pieces(client: Client) -> None:
    whole = request("GET", "/x", "Cookie: " + "c" * 14_000)
    for start in range(0, len(whole), 1_460):
        client.send(whole[start : start + 1_460])
        await asyncio.sleep(0.01)
    assert (await client.answer()).status == 200


async def test_what_comes_with_the_end_of_a_head_is_no_part_of_it(client: Client) -> None:
    large, many = request("POST", "/1", body=b"x" * 60_000), request("GET", "/2") * 1_000
    for stream in (large, many):
        client.send(stream[:30])
        await asyncio.sleep(0.03)
        client.send(stream[30:])
    assert len((await client.answer()).json()["body"]) == 60_000
    for _ in range(1_000):
        assert (await client.answer()).json()["path"] == "/2"


@pytest.mark.parametrize(("size", "count"), [(1, 3_200), (23, 2_840)])
async def test_small_chunks_are_no_attack(client: Client, size: int, count: int) -> None:
    client.send(request("POST", "/", CHUNKED))
    for _ in range(10):
        await asyncio.sleep(0.01)
        client.send(b"%x\r\n%b\r\n" % (size, b"x" * size) * (count // 10))
    client.send(b"0\r\n\r\n")
    assert len((await client.answer()).json()["body"]) == size * count


@pytest.mark.parametrize("size", [1, 5, 8])
async def test_thousands_of_small_chunks_are_an_attack(client: Client, size: int) -> None:
    """A body within the limit would take ten milliseconds of the processor, or more."""
    client.send(request("POST", "/", CHUNKED))
    client.send(b"%x\r\n%b\r\n" % (size, b"x" * size) * (65_000 // size))
    (answer,) = parse(await client.rest())
    assert is_refusal(answer, 431)


async def test_framing_without_a_body_is_an_attack(client: Client) -> None:
    client.send(request("POST", "/", CHUNKED))
    await asyncio.sleep(0.02)
    client.send(b"1;" + b"x" * 12_000)
    await asyncio.sleep(0.02)
    client.send(b"x" * 12_000)
    (answer,) = parse(await client.rest())
    assert is_refusal(answer, 431)


async def test_trailers_are_dropped(client: Client) -> None:
    client.send(request("POST", "/", CHUNKED) + b"1\r\nx\r\n0\r\nAuthorization: x\r\n\r\n")
    client.send(request("GET", "/next"))
    said = (await client.answer()).json()
    assert said["body"] == "x"
    assert [name for name, _ in said["headers"]] == ["host", "transfer-encoding"]
    assert (await client.answer()).json()["path"] == "/next"


@pytest.mark.parametrize("pause_s", [0, 0.03])
async def test_an_offer_to_upgrade_is_declined_and_everything_behind_it_read(
    client: Client, pause_s: float
) -> None:
    chunks = b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"
    pieces = [
        request("POST", "/1", "Content-Length: 3", *UPGRADE),
        b"abc",
        request("POST", "/2", CHUNKED, *UPGRADE, "X-Kept: yes"),
        *(chunks[:4], chunks[4:]),
        request("GET", "/3"),
        request("GET", "/4", *UPGRADE),
        request("POST", "/5", *UPGRADE, body=b"x" * 5_000),
        request("GET", "/6"),
    ]
    for piece in pieces:
        client.send(piece)
        await asyncio.sleep(pause_s)
    said = [(await client.answer()).json() for _ in range(6)]
    assert [each["path"] for each in said] == ["/1", "/2", "/3", "/4", "/5", "/6"]
    assert [each["body"] for each in said] == ["abc", "abc", "", "", "x" * 5_000, ""]
    assert ["x-kept", "yes"] in said[1]["headers"]
    assert all(name != "upgrade" for each in said for name, _ in each["headers"])


async def test_an_offer_of_http_1_0_stays_1_0(client: Client) -> None:
    client.send(request("GET", "/x", *UPGRADE, host=None, version="HTTP/1.0"))
    (answer,) = parse(await client.rest())  # and it closes, which 1.0 waits for
    assert (answer.status, answer.json()["version"]) == (200, "1.0")


async def test_after_an_offer_closing_is_as_it_was_before(client: Client) -> None:
    client.send(request("GET", "/1", *UPGRADE))
    assert (await client.answer()).status == 200
    client.send(request("GET", "/2?0.05", "Connection: close") + b"more that nobody reads")
    (answer,) = parse(await client.rest())
    assert (answer.status, answer.json()["path"]) == (200, "/2")


@pytest.mark.parametrize("bad", [b"GET /bad HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"G\0T"])
async def test_a_refusal_of_a_head_does_not_overtake_an_answer(client: Client, bad: bytes) -> None:
    client.send(request("GET", "/1?0.1") + request("GET", "/2") + bad)
    answers = parse(await client.rest())
    assert [answer.json().get("path") for answer in answers[:2]] == ["/1", "/2"]
    assert all(is_refusal(answer, 400) for answer in answers[2:])


@pytest.mark.parametrize(
    "bad",
    [
        request("POST", "/bad", "Transfer-Encoding: identity"),
        request("POST", "/bad", CHUNKED) + b"x\r\n",
        request("POST", "/bad", CHUNKED) + b"1\r\nxyz\r\n",
    ],
)
async def test_a_refusal_of_a_body_does_not_overtake_an_answer(client: Client, bad: bytes) -> None:
    client.send(request("GET", "/1?0.1") + bad)
    answers = parse(await client.rest())
    assert answers[0].json().get("path") == "/1"
    assert all(is_refusal(answer, 400) for answer in answers[1:])


HEAD_BODY = request("HEAD", "/", "Content-Length: 2")


@pytest.mark.parametrize(
    ("before", "sent", "has_body"),
    [
        (b"", request("HEAD", "/", host="a b"), False),
        (b"", HEAD_BODY + b"x", False),  # 408
        (b"", b"HEAD / HTTP/1.1\r\nHost", False),  # 408
        (b"", request("GET", "/", host="a b"), True),
        (request("HEAD", "/"), b"wrong", True),  # of whose method nothing is known
        (request("HEAD", "/"), b"GET", True),
        (request("HEAD", "/"), request("GET", "/", host="a b"), True),
    ],
)
async def test_the_refusal_of_a_head_request_has_no_body(
    client: Client, before: bytes, sent: bytes, has_body: bool
) -> None:
    if before:
        client.send(before)
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    client.send(sent)
    received = await client.rest()
    (answer,) = parse(received, ["GET" if has_body else "HEAD"])
    assert answer.status in (400, 408)
    assert int(answer.headers["content-length"]) > 0
    assert has_body == (not received.endswith(b"\r\n\r\n"))


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without reading the body."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("bad", [b"wrong\r\n", b"1;" + b"x" * 20_000])
async def test_a_body_that_turns_bad_behind_its_answer_gets_no_second_answer(bad: bytes) -> None:
    """The connection ends, and what the client still sends is read, so that it is not reset."""
    app = Within(hasty, Config())
    async with serving(app, StrictProtocol, lifespan="off") as port, connected(port) as client:
        client.send(request("OPTIONS", "/", CHUNKED) + b"1\r\nx\r\n")
        assert (await client.answer()).status == 204
        client.send(bad + b"x" * 1_000)
        assert await client.reader.read() == b""
        assert app.refused("400") + app.refused("431") == 1


async def test_no_request_behind_a_last_answer_is_begun() -> None:
    """Also while the connection lingers, because the rest of that request has still to come."""
    begun = []

    async def last(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        await asyncio.sleep(0.2)
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    app = Within(last, Config())
    async with serving(app, StrictProtocol, lifespan="off") as port, connected(port) as client:
        client.send(request("POST", "/last", body=b"x"))
        client.send(request("POST", "/behind", "Content-Length: 9") + b"y")
        assert [answer.status for answer in parse(await client.rest())] == [200]
    assert begun == ["/last"]
