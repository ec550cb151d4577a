"""Many pipelined near hits: piece by piece, in order, and whatever happens between the pieces."""

import asyncio
import itertools
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from config import Config
from service import create_app
from tests.http.samples import draft
from tests.http.wire import is_refusal, parse
from tests.http.wire import request as ask
from tests.wire.in_process import Client, connected, serving, until
from wire.lane import Lane
from wire.limits import HELD_MAX_BYTES, Wire
from wire.protocol import Protocol
from wire.strict import PIECE_BYTES

COUNT = 1_500
LAST = ask("GET", "/healthz", "Connection: close")


class World(NamedTuple):
    """A client whose requests for two rows are near hits."""

    client: Client
    port: int
    app: Any
    hits: tuple[bytes, bytes]

    @property
    def many(self) -> bytes:
        """The two requests in turn, COUNT in all."""
        return b"".join(self.hits) * (COUNT // 2)

    @property
    def wire(self) -> Wire:
        wire: Wire = self.app.state.wire
        return wire


@pytest.fixture(params=["whole", "cut"])
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A piece is ``whole`` requests, or its end cuts a request."""
    path = str(tmp_path / "content.sqlite3")
    app = create_app(Config(embedded_path=path, near_ttl_s=600.0, drain_s=0))
    async with serving(app) as port, connected(port) as maker, connected(port) as client:
        hits = []
        for title in ("0", "1"):
            body = orjson.dumps(draft(title=title))
            maker.send(ask("POST", "/content", "Content-Type: application/json", body=body))
            row_id = (await maker.answer()).json()["data"]["id"]
            hit = ask("GET", f"/content/{row_id}")
            if request.param == "whole":
                hit = ask("GET", f"/content/{row_id}", "X: " + "x" * (128 - len(hit) - 5))
                assert PIECE_BYTES % len(hit) == 0
            hits.append(hit)
            maker.send(hit)
            assert (await maker.answer()).status == 200
        yield World(client, port, app, (hits[0], hits[1]))


def between_pieces(
    monkeypatch: pytest.MonkeyPatch, action: Callable[[Protocol], None], hit: int = COUNT // 3
) -> None:
    """Call ``action`` with the protocol between two pieces, once ``hit`` near hits are answered."""
    counter, ever = itertools.count(1), Protocol._hit

    def counted(protocol: Protocol, target: str, condition: str | None) -> bytes | None:
        if next(counter) == hit:
            asyncio.get_running_loop().call_soon(act, protocol)
        return ever(protocol, target, condition)

    def act(protocol: Protocol) -> None:
        assert protocol._unread
        assert protocol._is_idle()
        action(protocol)

    monkeypatch.setattr(Protocol, "_hit", counted)


def paused_at_the_end(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each connection that lingers reads nothing: unread bytes would reset it."""
    linger, found = Protocol.linger, []

    def noted(protocol: Protocol) -> None:
        linger(protocol)
        found.append(protocol.flow.read_paused)

    monkeypatch.setattr(Protocol, "linger", noted)
    return found


def assert_in_order(received: bytes, count: int | None = None) -> None:
    """Fail unless these are whole answers with the titles of both rows in turn."""
    answers = parse(received)
    assert len(answers) == count or (count is None and len(answers) >= COUNT // 3)
    for number, answer in enumerate(answers):
        assert answer.json()["data"]["title"] == str(number % 2)


@pytest.mark.parametrize("is_app_asked", [False, True])
async def test_no_turn_answers_more_than_a_piece_has(
    world: World, monkeypatch: pytest.MonkeyPatch, is_app_asked: bool
) -> None:
    """Only the turn in which the app answers has more, because the next piece follows at once."""
    loop, near = asyncio.get_running_loop(), Lane.near
    turns = [0]

    def noted(lane: Lane, target: str, *rest: Any) -> bytes | None:
        if not turns[-1]:
            loop.call_soon(turns.append, 0)
        turns[-1] += 1
        return near(lane, target, *rest)

    monkeypatch.setattr(Lane, "near", noted)
    # in its own piece, if requests are whole
    nowhere = ask("GET", "/nowhere", "X: " + "x" * 81) if is_app_asked else b""
    world.client.send(world.hits[0] * 31 + nowhere + world.many + LAST)
    answers = parse(await world.client.rest())
    assert [answer.status for answer in answers].count(200) == 31 + COUNT + 1
    most = PIECE_BYTES // len(world.hits[0]) + 2
    assert len([turn for turn in turns if turn > most]) <= is_app_asked
    assert max(turns) <= 2 * most


async def test_bytes_that_wait_are_charged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    charged: list[int] = []
    between_pieces(
        monkeypatch, lambda _: charged.append(HELD_MAX_BYTES - world.wire.left_bytes), hit=10
    )
    world.client.send(world.many + LAST)
    await world.client.rest()
    assert charged[0] > PIECE_BYTES
    assert world.wire.left_bytes == HELD_MAX_BYTES


async def test_the_end_of_sending_is_noticed_behind_the_last_piece(world: World) -> None:
    world.client.send(world.many)
    world.client.writer.write_eof()
    assert_in_order(await world.client.rest(), COUNT)


async def test_half_a_request_behind_the_pieces_is_refused(world: World) -> None:
    world.client.send(world.many + b"GET /x HTTP/1.1\r\nHo")
    world.client.writer.write_eof()
    received = await world.client.rest()
    last = received.rindex(b"HTTP/1.1 ")
    assert_in_order(received[:last], COUNT)
    assert is_refusal(parse(received[last:])[0], 400)


async def test_other_requests_among_the_hits_keep_their_places(world: World) -> None:
    """Also a body of several pieces, and an offer to upgrade."""
    large = orjson.dumps(draft(title="large", description="x" * 9_000))
    posted = ask("POST", "/content", "Content-Type: application/json", body=large)
    offer = ask("GET", "/nowhere", "Connection: Upgrade", "Upgrade: h2c")
    some = b"".join(world.hits) * 100
    world.client.send(some + posted + some + offer + some + ask("GET", "/nowhere") + LAST)
    statuses = [answer.status for answer in parse(await world.client.rest())]
    assert statuses == [200] * 200 + [201] + [200] * 200 + [404] + [200] * 200 + [404, 200]


async def test_a_request_by_heart_overtakes_no_bytes_that_wait(world: World) -> None:
    """It comes while reading is paused."""
    first = world.hits[0]
    world.client.send(first)  # from now on its head is known
    assert (await world.client.answer()).json()["data"]["title"] == "0"
    world.client.send(world.many)
    await asyncio.sleep(0)
    world.client.send(first)
    world.client.writer.write_eof()
    assert_in_order(await world.client.rest(), COUNT + 1)


async def test_behind_a_refusal_amid_the_pieces_bytes_are_read_and_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_paused = paused_at_the_end(monkeypatch)
    world.client.send(world.many + b"wrong\r\n\r\n" + world.many * 4)
    received = await world.client.rest()
    last = received.rindex(b"HTTP/1.1 ")
    assert_in_order(received[:last], COUNT)
    assert is_refusal(parse(received[last:])[0], 400)
    assert is_paused == [False]


async def test_bytes_that_wait_are_refused_without_room(world: World) -> None:
    world.wire.left_bytes = PIECE_BYTES
    world.client.send(world.many)
    received = await world.client.rest()
    assert is_refusal(parse(received)[-1], 503)
    assert world.wire.left_bytes == PIECE_BYTES


async def test_a_connection_that_is_lost_between_pieces_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    begun: list[bytes] = []
    ever, lost = Protocol.start_request, asyncio.Event()

    def start_request(protocol: Protocol) -> None:
        begun.append(protocol.url)
        ever(protocol)

    def lose(protocol: Protocol) -> None:
        protocol.transport.abort()
        lost.set()
        begun.clear()

    monkeypatch.setattr(Protocol, "start_request", start_request)
    between_pieces(monkeypatch, lose)
    world.client.send(world.many)
    await world.client.rest()
    await until(lambda: world.wire.left_bytes == HELD_MAX_BYTES)
    await asyncio.sleep(0.02)
    assert lost.is_set()
    assert begun == []  # since then
    assert caplog.records == []


async def test_a_client_that_resets_amid_the_pieces_leaves_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    connections = world.app.state.wire.connections
    async with connected(world.port) as client:
        client.send(world.many * 4)
        await client.answer()
        ending: socket.socket = client.writer.get_extra_info("socket")
        ending.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
    await until(lambda: connections._value.get() == 2)
    assert world.wire.left_bytes == HELD_MAX_BYTES
    assert caplog.records == []


async def test_a_connection_is_not_idle_between_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(protocol: Protocol) -> None:
        protocol._idle_until_s = protocol._due_s = 0.0
        protocol.look()

    between_pieces(monkeypatch, look)
    world.client.send(world.many)
    world.client.writer.write_eof()
    assert_in_order(await world.client.rest(), COUNT)


async def test_nothing_resumes_reading_between_pieces(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handler that asks for more of its body tries to."""

    def resume(protocol: Protocol) -> None:
        protocol.flow.resume_reading()
        seen.append(protocol.flow.read_paused)

    seen: list[bool] = []
    between_pieces(monkeypatch, resume)
    world.client.send(world.many)
    world.client.writer.write_eof()
    assert_in_order(await world.client.rest(), COUNT)
    assert seen == [True]


async def test_a_drain_that_begins_between_pieces_makes_the_next_answer_the_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drain(protocol: Protocol) -> None:
        world.app.state.lane.drain.active = True

    between_pieces(monkeypatch, drain)
    world.client.send(world.many)
    received = await world.client.rest()
    assert_in_order(received)
    assert parse(received)[-1].headers["connection"] == "close"
    assert sum("connection" in answer.headers for answer in parse(received)) == 1


async def test_an_end_of_the_server_between_pieces_costs_no_answer_that_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_paused = paused_at_the_end(monkeypatch)
    between_pieces(monkeypatch, Protocol.shutdown)
    world.client.send(world.many * 4)
    received = await world.client.rest()
    assert_in_order(received)
    assert len(parse(received)) < COUNT
    assert is_paused == [False]
