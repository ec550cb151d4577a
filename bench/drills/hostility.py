"""Clients that mean harm.

Each does its worst again and again until the end, and counts how it was sent away: the status of
the answer, or ``ended`` without one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import NamedTuple

from bench.lab.processes import Server
from bench.load.apart import apart

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
STALLED = b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
BYTE_S = 1.0
CHUNK = b"X-Padding: " + b"x" * 65_000 + b"\r\n"
CHUNKS = 20_000_000 // len(CHUNK)
HEADERS, TIMES = b"a: b\r\n" * 1_000, 100
STATUS_BYTES = 12
PAUSE_S = 0.5


class Crowd(NamedTuple):
    """The number of clients of each attack."""

    lorises: int = 500
    stalled: int = 100
    long_heads: int = 2
    many_headers: int = 2


async def slow_loris(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send a head that never ends, a byte a second."""
    writer.write(HEAD + b"X-Slow: ")
    while True:
        writer.write(b"x")
        with suppress(TimeoutError):
            async with asyncio.timeout(BYTE_S):
                return await reader.read(STATUS_BYTES)


async def stalled_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Promise a body that does not come."""
    writer.write(STALLED)
    return await reader.read(STATUS_BYTES)


async def long_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send 20 MB of headers."""
    return await _pour(reader, writer, CHUNK, CHUNKS)


async def many_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send 100,000 headers."""
    return await _pour(reader, writer, HEADERS, TIMES)


async def _pour(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, part: bytes, times: int
) -> bytes:
    writer.write(HEAD)
    for _ in range(times):
        writer.write(part)
        await writer.drain()
    writer.write(b"\r\n")
    return await reader.read(STATUS_BYTES)


async def _again_and_again(
    connect: Callable[[], Awaitable[Streams]], attack: Attack, counts: Counter[str]
) -> None:
    name = attack.__name__
    while True:
        counts[f"{name} begun"] += 1
        try:
            reader, writer = await connect()
        except OSError:
            counts[f"{name} refused"] += 1
            await asyncio.sleep(PAUSE_S)
            continue
        answer = b""
        try:
            answer = await attack(reader, writer)
        except OSError:  # a reset takes with it what was said before
            pass
        finally:
            writer.transport.abort()
        is_answer = answer.startswith(b"HTTP/1.1 ")
        counts[f"{name} {answer[9:12].decode() if is_answer else 'ended'}"] += 1
        await asyncio.sleep(PAUSE_S if attack in (long_head, many_headers) else 0)


async def attack(
    counts: Counter[str], begun: Callable[[], None], host: str, port: int, crowd: Crowd
) -> None:
    """Attack with all of ``crowd`` until this is cancelled."""
    connect = partial(asyncio.open_connection, host, port)
    attacks = (slow_loris, stalled_body, long_head, many_headers)
    async with asyncio.TaskGroup() as group:
        for each, number in zip(attacks, crowd, strict=True):
            for _ in range(number):
                group.create_task(_again_and_again(connect, each, counts))
        begun()


def hostile(server: Server, crowd: Crowd, counts: Counter[str]) -> AbstractContextManager[None]:
    """Keep a block under attack; what became of the attacks is added to ``counts`` at its end."""
    return apart(counts, attack, server.host, server.port, crowd)
