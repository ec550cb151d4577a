"""A process that stood still: Redis has answered meanwhile, and is not to blame.

On uvloop, as the service is: what halts while the loop serves its sockets is followed by timers.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import cast

import pytest
import uvloop

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.redis.address import Address
from cache.redis.connection import Connection
from cache.redis.handshake import Session
from cache.redis.link import Watch
from cache.redis.rows import RedisRows
from tests.cache.redis_world import filled, until, url_of

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
        rows = RedisRows(Address.from_url(url_of(redis)), "test", deadline_s=0.1, hang_s=9.0)
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
        halt, states = halting(pair), list[bool | None]()
        place = Address.from_url(url_of(redis))
        rows = RedisRows(place, "test", hang_s=HALT_S / 3, on_state=states.append)
        await rows.open()
        await until(lambda: rows.state == "up")
        before = list(states)
        for _ in range(5):
            asked = asyncio.ensure_future(rows.get("k"))
            await halt()
            await asked
            await asyncio.sleep(HALT_S / 10)
        assert (states, rows.state) == (before, "up")
        await rows.close()

    uvloop.run(check())


class Late:
    """A connection on which answers come, one after the other, and each too late."""

    lost_because: str | None = None

    def waiting_s(self) -> float:
        return 2 * HANG_S

    @property
    def oldest(self) -> object:
        return object()

    def send(self, *_asked: object) -> None:
        pass

    def abort(self, reason: str) -> None:
        self.lost_because = reason


def test_a_redis_that_answers_but_ever_too_late_is_left() -> None:
    """It does not hang, but every read would wait for its deadline."""

    async def check() -> None:
        late, session = Late(), Session("prefix", "run", tracking=False)
        with Watch(cast(Connection, late), session, HANG_S):
            began = time.monotonic()
            await until(lambda: late.lost_because)
            # some less: the loop counts whole milliseconds
            assert time.monotonic() - began > HANG_S * 0.9  # it may be this process that was late

    uvloop.run(check())
