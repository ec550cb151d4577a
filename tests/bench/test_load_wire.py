"""The load generator's connections: kept, opened on demand, and broken in every way."""

import asyncio
import errno
import socket
import struct
import time

import pytest

from bench.drills.world import reading
from bench.lab.processes import free_ports
from bench.load.loops import OpenLoop
from bench.load.wire import Asked
from tests.bench.small_servers import (
    ID,
    PATH,
    Serve,
    SmallServer,
    always,
    answer,
    ask,
    row,
    serving,
)


async def _close(_path: str, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _half(_path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(answer()[:-1])
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (_close, "closed"),
        (_half, "closed"),
        (always(b"HTTP/1.1 200 OK\r\n\r\n"), "malformed"),
        (always(answer() + b"more"), "malformed"),
        (always(b"SMTP ready\r\nContent-Length: 0\r\n\r\n"), "malformed"),
        (always(b"HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n"), "malformed"),
        (always(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "malformed"),
    ],
)
async def test_broken_connections_are_counted_apart_from_answers(serve: Serve, error: str) -> None:
    async with serving(serve) as server:
        tally = (await ask(server)).tally()
    assert tally.errors == {error: 20}
    assert (tally.statuses, tally.good, tally.failed) == ({}, 0, 20)
    assert tally.percentile_s(99) == 0  # soon over is not quick


async def test_refused_and_reset_are_two_things() -> None:
    (port,) = free_ports(1)
    nobody = SmallServer(_close)
    nobody.port = port
    assert (await ask(nobody)).tally().errors == {"refused": 20}

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        at_once = struct.pack("ii", 1, 0)  # no lingering: the end is a reset
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    async with await asyncio.start_server(accept, "127.0.0.1", port):
        assert (await ask(nobody)).tally().errors == {"reset": 20}


async def test_ports_that_ran_out_are_no_fault_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def none_left(*_how: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", none_left)
    tally = (await ask(SmallServer(_close))).tally()
    assert tally.errors == {"no port": 20}


async def test_connections_are_kept_and_opened_on_demand_up_to_the_limit() -> None:
    async def slowly(_path: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(answer())

    async with serving(always(answer())) as server:
        assert (await ask(server, times=10, rate_s=20)).tally().good == 10
        assert server.connections < 5
    async with serving(slowly) as server:
        assert (await ask(server, times=30, connections=3)).tally().good == 30
        assert (server.connections, server.most_open) == (3, 3)


class OneByOne(OpenLoop):
    """Sends a request once the connection of the one before is known to have ended."""

    async def _ask(self) -> None:
        for _, request in self._schedule:
            self._leave(Asked(request, time.monotonic(), 0.0))
            while self._waiting or self._opening or self._all:  # noqa: ASYNC110 - they tell nobody
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("closes", [True, False], ids=["told", "untold"])
async def test_a_connection_that_ends_between_two_requests_is_no_error(closes: bool) -> None:
    async def once(_path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(headers=b"Connection: close\r\n" if closes else b""))
        await writer.drain()
        writer.close()

    async with serving(once) as server:
        load = OneByOne(server.host, server.port, [(0.0, PATH)] * 10)
        tally = (await load.run()).tally()
        assert (tally.good, server.connections) == (10, 10)


async def test_an_answer_in_pieces_is_one_answer() -> None:
    async def in_pieces(_path: str, writer: asyncio.StreamWriter) -> None:
        for at in range(len(whole := answer(200, row(ID)))):
            writer.write(whole[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(in_pieces) as server:
        tally = (await ask(server, reading(ID), times=5)).tally()
    assert (tally.good, tally.wrong) == (5, 0)
