"""Clients that mean harm, in a process of their own: the load generator must not wait for them.

Each does its worst again and again until the end, and counts how it was sent away: the status of
the answer, or ``ended`` without one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection as Pipe
from typing import NamedTuple

import uvloop

import server

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
START_S = 30.0


class Crowd(NamedTuple):
    """How many of each there are."""

    lorises: int = 500
    stalled: int = 100
    long_heads: int = 2
    many_headers: int = 2


async def slow_loris(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """A head that never ends, a byte a second."""
    writer.write(HEAD + b"X-Slow: ")
    while True:
        writer.write(b"x")
        with suppress(TimeoutError):
            async with asyncio.timeout(BYTE_S):
                return await reader.read(STATUS_BYTES)


async def stalled_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """A body that is promised and does not come."""
    writer.write(STALLED)
    return await reader.read(STATUS_BYTES)


async def long_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """20 MB of headers."""
    return await _pour(reader, writer, CHUNK, CHUNKS)


async def many_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """100,000 of them."""
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


def _run(host: str, port: int, crowd: Crowd, pipe: Pipe) -> None:
    """The process: until it is told to end, or nobody is there any more to tell it."""
    server.allow_connections()
    counts: Counter[str] = Counter()

    async def run() -> None:
        connect = partial(asyncio.open_connection, host, port)
        attacks = (slow_loris, stalled_body, long_head, many_headers)
        tasks = [
            asyncio.create_task(_again_and_again(connect, attack, counts))
            for attack, number in zip(attacks, crowd, strict=True)
            for _ in range(number)
        ]
        pipe.send("begun")
        await asyncio.to_thread(pipe.poll, None)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    uvloop.run(run())
    with suppress(OSError):  # whoever wanted to know has gone
        pipe.send(counts)


@contextmanager
def hostile(host: str, port: int, crowd: Crowd, counts: Counter[str]) -> Iterator[None]:
    """A block under attack; what became of the attacks is added to ``counts`` at its end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(host, port, crowd, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            assert ours.poll(START_S), "the hostile clients do not begin"
            ours.recv()
            yield
            ours.send("end")
            assert ours.poll(START_S), "the hostile clients do not end"
            counts += ours.recv()
    finally:
        process.join(START_S)
        process.kill()
