"""A process that stood still: Redis has answered meanwhile, and is not to blame.

On uvloop, as the service is: what halts while the loop serves its sockets is followed by timers.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

import pytest
import uvloop

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.address import Address
from cache.redis.connection import Connection, Lost
from cache.redis.handshake import Session
from cache.redis.link import watch
from cache.redis.rows import RedisRows
from tests.cache.redis_world import Recorder, filled, named, until, url_of
from tests.cache.test_connection import WireTap

HALT_S = 0.3
HANG_S = 0.05


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


def halting(pair: tuple[socket.socket, socket.socket]) -> Callable[[], Awaitable[None]]:
    """Lets what was asked leave, and then stands still while the loop serves a socket."""
    ours, theirs = pair

    async def halt() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def stand_still() -> None:
            ours.recv(1)
            time.sleep(HALT_S)
            over.set()

        loop.add_reader(ours, stand_still)
        theirs.send(b".")
        await over.wait()
        loop.remove_reader(ours)

    return halt


def test_what_was_answered_during_a_halt_is_in_time(
    redis: RedisServer, pair: tuple[socket.socket, socket.socket]
) -> None:
    async def check() -> None:
        halt = halting(pair)
        place, near = Address.from_url(url_of(redis)), Near(0, 1.0)
        rows = RedisRows(place, named("test"), near, deadline_s=0.1, hang_s=9.0)
        await rows.open()
        await until(lambda: rows.state == "up")
        await filled(rows, "k")
        for ask in (rows.get, rows.lease):
            asked = asyncio.ensure_future(ask("k"))
            await halt()
            assert isinstance(await asked, Entry), ask
        await rows.close()

    uvloop.run(check())


def test_a_halt_does_not_end_the_connection(
    redis: RedisServer, pair: tuple[socket.socket, socket.socket]
) -> None:
    async def check() -> None:
        halt, told = halting(pair), Recorder()
        place = Address.from_url(url_of(redis))
        rows = RedisRows(place, named("test"), told, hang_s=HALT_S / 3)
        await rows.open()
        await until(lambda: rows.state == "up")
        before = told.of("state")
        for _ in range(5):
            asked = asyncio.ensure_future(rows.get("k"))
            await halt()
            await asked
            await asyncio.sleep(HALT_S / 10)
        assert (told.of("state"), rows.state) == (before, "up")
        await rows.close()

    uvloop.run(check())


class Late:
    """A connection on which each answer comes, and comes too late."""

    def __init__(self) -> None:
        self.answered = 0

    def ask(self, *command: object, check: Callable[[object], str]) -> asyncio.Future[object]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()

        def answer() -> None:
            self.answered += 1
            check({})
            future.set_result({})

        loop.call_later(2 * HANG_S, answer)
        return future


def session(connection: object) -> Session:
    return Session(connection=cast(Connection, connection))


def test_a_redis_that_answers_but_ever_too_late_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hang, but every read would wait for its deadline."""
    monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", HANG_S / 2)

    async def check() -> None:
        late, began = Late(), time.monotonic()
        with pytest.raises(Lost, match="no answer"):
            await watch(session(late), HANG_S)
        # some less: the loop counts whole milliseconds
        assert time.monotonic() - began > HANG_S * 0.9

    uvloop.run(check())


class FullTransport(WireTap):
    def get_write_buffer_size(self) -> int:
        return 1 << 30


def test_a_redis_that_takes_no_more_and_answers_no_heartbeat_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It hung just after a heartbeat, and the commands since have filled every buffer."""
    monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", HANG_S / 2)

    async def check() -> None:
        full = Connection(lambda push: None, lambda why: None)
        full.connection_made(FullTransport())
        assert not full.send(("GET", "k"), lambda reply: None)
        async with asyncio.timeout(60 * HANG_S):
            with pytest.raises(Lost, match="no answer"):
                await watch(session(full), HANG_S)

    uvloop.run(check())


def test_an_answer_in_time_keeps_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache.redis.link.HEARTBEAT_S", HANG_S)

    async def check() -> None:
        late = Late()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10 * HANG_S):
                await watch(session(late), 20 * HANG_S)
        assert late.answered

    uvloop.run(check())
