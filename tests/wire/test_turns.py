"""Requests that wait for their turn: in order, not in memory, and not late for it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest

from config import Config
from tests.http.wire import request
from tests.wire.in_process import Client, Within, connected, echo, serving, until
from wire.strict import PIECE_BYTES, StrictProtocol


class Watched(StrictProtocol):
    """The newest is looked at while it serves."""

    newest: ClassVar[StrictProtocol]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        type(self).newest = self


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """On a server that gives a head 0.5 s to arrive, and a body again."""
    app = Within(echo, Config(arrival_s=0.5))
    async with serving(app, Watched, lifespan="off") as port, connected(port) as client:
        yield client


@pytest.mark.parametrize("body", [b"", b"body"])
async def test_what_waits_is_bytes_and_answered_in_order(client: Client, body: bytes) -> None:
    """Also behind requests whose handlers ask for more of a body."""
    method, count = "POST" if body else "GET", 4_000
    client.send(request("GET", "/?0.3"))
    client.send(b"".join(request(method, f"/{n}", body=body) for n in range(count)))
    assert (await client.answer()).json()["path"] == "/"
    most = 0
    for number in range(count):
        most = max(most, len(Watched.newest.pipeline))
        said = (await client.answer()).json()
        assert (said["path"], said["body"]) == (f"/{number}", body.decode())
    assert 0 < most <= PIECE_BYTES // len(request(method, "/0", body=body)) + 1


async def test_nothing_is_read_while_requests_wait(client: Client) -> None:
    client.send(request("POST", "/1?0.3", body=b"x") + request("POST", "/2?0.3", body=b"x"))
    await until(lambda: bool(Watched.newest.pipeline))
    client.send(request("GET", "/3"))
    await asyncio.sleep(0.1)
    assert (len(Watched.newest.pipeline), bytes(Watched.newest._unread)) == (1, b"")
    assert [(await client.answer()).json()["path"] for _ in range(3)] == ["/1", "/2", "/3"]


async def test_a_body_that_waits_for_us_is_not_late(client: Client) -> None:
    waiting = request("GET", "/1?0.7") + request("GET", "/2?0.7")
    client.send(waiting + request("POST", "/3", body=b"x" * 60_000))
    assert [(await client.answer()).json()["path"] for _ in range(3)] == ["/1", "/2", "/3"]


async def test_an_offer_to_upgrade_that_waits_is_declined_in_its_turn(client: Client) -> None:
    offer = request("POST", "/3", "Connection: Upgrade", "Upgrade: h2c", body=b"x" * 10_000)
    client.send(request("GET", "/1?0.1") + request("GET", "/2") + offer + request("GET", "/4"))
    said = [(await client.answer()).json() for _ in range(4)]
    assert [each["path"] for each in said] == ["/1", "/2", "/3", "/4"]
    assert len(said[2]["body"]) == 10_000


async def test_a_target_that_cannot_be_read_costs_no_earlier_answer(client: Client) -> None:
    wrong = request("GET", "http://a:99999999/")
    client.send(request("GET", "/1?0.1") + request("GET", "/2") + wrong)
    assert [(await client.answer()).json()["path"] for _ in range(2)] == ["/1", "/2"]
    assert await client.rest() == b""


async def test_an_end_behind_a_body_that_waits_for_its_turn_costs_no_answer(client: Client) -> None:
    """Also if the handler of the first asks for more of a body."""
    large = request("POST", "/2", body=b"x" * 20_000)
    client.send(request("GET", "/1?0.1") + large + request("GET", "/3"))
    client.writer.write_eof()
    said = [(await client.answer()).json() for _ in range(3)]
    assert [each["path"] for each in said] == ["/1", "/2", "/3"]
    assert await client.rest() == b""
