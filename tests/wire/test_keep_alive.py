"""How long an idle connection is kept, whoever answers what comes on it, and whatever else does."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from starlette.types import Receive, Scope, Send

from config import Config
from db.embedded import EmbeddedStore
from db.video import Row, parse_draft
from service import create_app
from tests.http.wire import request
from tests.wire.in_process import Within, connected, serving, until
from wire.protocol import Protocol


def plain(row_id: str) -> bytes:
    return request("GET", f"/content/{row_id}")


class SlowStore(EmbeddedStore):
    """Takes 1.5 s for a row."""

    async def video(self, video_id: str) -> Row:
        row = await super().video(video_id)
        await asyncio.sleep(1.5)
        return row


class Kept(Protocol):
    """Is looked at when its connection is gone."""

    made: ClassVar[list[Protocol]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[tuple[int, str, str]]:
    """The port of a service in this process that keeps idle connections for 1 s; the ids of a row
    that is near and of one that is not."""
    config = Config(
        embedded_path=str(tmp_path / "store.sqlite3"), near_ttl_s=600.0, read_deadline_s=60.0
    )
    store = SlowStore(config.embedded_path)
    async with serving(create_app(config, store), Kept, timeout_keep_alive=1) as port:
        draft = parse_draft({"title": "x", "genres": ["x"], "isMovie": True})
        near, far = [(await store.create(_id(n), draft, None))["id"] for n in (1, 2)]
        async with connected(port) as client:
            client.send(plain(near))
            assert (await client.answer()).status == 200
        yield port, near, far


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


async def test_hits_keep_a_connection_alive_and_silence_ends_it(
    slow: tuple[int, str, str],
) -> None:
    port, near, _ = slow
    async with connected(port) as client:
        for _ in range(12):
            client.send(plain(near))
            assert (await client.answer()).headers["cache-status"].endswith("near")
            await asyncio.sleep(0.2)  # 2.4 s in all
        assert await client.closed_after_s() > 0.5


async def test_an_answer_that_takes_long_behind_a_hit_is_not_cut_off(
    slow: tuple[int, str, str],
) -> None:
    port, near, far = slow
    async with connected(port) as client:
        client.send(plain(near) + plain(far))
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]
        assert await client.closed_after_s() > 0.5


async def test_a_connection_that_breaks_behind_a_hit_is_watched_no_longer(
    slow: tuple[int, str, str],
) -> None:
    port, near, far = slow
    Kept.made.clear()
    async with connected(port) as client:
        client.send(plain(near) + plain(far))
        # the second is in progress
        await until(lambda: bool(Kept.made) and not Kept.made[0].cycle.response_complete)
        ending: socket.socket = client.writer.get_extra_info("socket")
        ending.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()  # which resets it
    (protocol,) = Kept.made
    await until(lambda: protocol not in protocol.connections)
    assert protocol._timer is not None
    assert protocol._timer.cancelled()


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without reading the body."""
    headers = [(b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x"})


@pytest.mark.parametrize("rest", [b"", b"\r\n", b"\r\n\r\n"])
async def test_empty_lines_instead_of_a_request_win_no_time(rest: bytes) -> None:
    app = Within(hasty, Config(arrival_s=0.5))
    async with (
        serving(app, lifespan="off", timeout_keep_alive=600) as port,
        connected(port) as client,
    ):
        client.send(rest)
        assert await client.closed_after_s() > 0.3


@pytest.mark.parametrize(
    ("start", "rest"),
    [
        (request("GET", "/"), b"\r\n"),
        (request("POST", "/", "Content-Length: 2"), b"xy"),
        (request("POST", "/", "Content-Length: 2") + b"x", b"y"),
    ],
)
async def test_what_comes_behind_an_answer_keeps_nothing_open(start: bytes, rest: bytes) -> None:
    """An empty line, or a body that nobody waited for; then silence."""
    async with (
        serving(Within(hasty, Config()), lifespan="off", timeout_keep_alive=1) as port,
        connected(port) as client,
    ):
        client.send(start)
        assert (await client.answer()).status == 200
        client.send(rest)
        assert await client.closed_after_s() > 0.5


async def test_a_connection_is_not_idle_while_the_lane_asks_redis(
    slow: tuple[int, str, str],
) -> None:
    port, near, _ = slow
    async with connected(port) as client:
        client.send(plain(near))
        await client.answer()
        protocol = Kept.made[-1]
        protocol._idle_until_s -= 100.0
        protocol._turn.response_complete = False
        protocol.look()
        assert not protocol.transport.is_closing()
        protocol._turn.response_complete = True
        protocol.look()
        assert await client.rest() == b""
