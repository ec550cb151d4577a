"""Clients that mean harm: everybody else's answers stay quick, and the service stays as it is.

Each client does its worst again and again until the end, and counts how it was sent away: the
status of the answer, or ``ended`` without one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import NamedTuple

from bench.drills.traffic import reading, warm, zipf
from bench.drills.world import World
from bench.lab.asking import ids_of
from bench.lab.processes import Server
from bench.load.apart import apart
from bench.load.loops import offered, paced
from bench.load.result import Result, Tally

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
STALLED = b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
BYTE_S = 1.0
CHUNK = b"X-Padding: " + b"x" * 65_000 + b"\r\n"
CHUNKS = 20_000_000 // len(CHUNK)
HEADERS, PARTS = b"a: b\r\n" * 1_000, 100
STATUS_BYTES = 12
PAUSE_S = 0.5
ROUNDS = 2
GROWTH_BYTES = 20_000_000
TIMES, FLOOR_S, SHORT_FLOOR_S = 2.0, 0.01, 0.05
"""Twice what a quiet machine shows is often nothing but a busy one: a p99 below the floor counts as
the floor. The short form has few requests, and other tests beside it."""
SAMPLE_S = 0.1
KEYS = 1_000


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
    return await _pour(reader, writer, HEADERS, PARTS)


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


def _watch(server: Server, seconds: float) -> int:
    """Return the most memory that it has within ``seconds``."""
    end_s, most = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        most = max(most, server.resident_bytes())
        time.sleep(SAMPLE_S)
    return most


def run(world: World) -> None:
    """Judge the answers of others, and the memory, under attack."""
    rate_s, seconds = (150, 2.5) if world.is_short else (300, 15.0)
    service = world.service(world.cassandra, world.redis())
    rows = [reading(each) for each in ids_of(service)[:KEYS]]
    warm(service, rows)
    crowd, counts = Crowd(), Counter[str]()
    phases: list[tuple[bool, float, float]] = []
    with offered(service.host, service.port, paced(zipf(rows), rate_s)) as result:
        time.sleep(1)
        before, most = service.resident_bytes(), 0
        for _ in range(ROUNDS):
            began_s = time.monotonic()
            most = max(most, _watch(service, seconds))
            phases.append((False, began_s, time.monotonic()))
            with hostile(service, crowd, counts):
                began_s = time.monotonic()
                most = max(most, _watch(service, seconds))
                phases.append((True, began_s, time.monotonic()))
    what = (
        f"{crowd.lorises} slow lorises, {crowd.stalled} stalled bodies, "
        f"{crowd.long_heads} x 20 MB of headers, {crowd.many_headers} x 100,000 headers"
    )
    _judge_reads(world, what, _summed(result, phases, False), _summed(result, phases, True))
    world.judge(
        what,
        f"memory stays within {GROWTH_BYTES / 1e6:.0f} MB",
        f"{before / 1e6:.0f} MB before, at most {most / 1e6:.0f} MB",
        most - before <= GROWTH_BYTES,
    )
    begun = sum(number for name, number in counts.items() if name.endswith("begun"))
    world.judge(what, "the attacks arrive", told(counts), begun >= ROUNDS * sum(crowd))


def _summed(result: Result, phases: list[tuple[bool, float, float]], is_hostile: bool) -> Tally:
    tally = Tally()
    for kind, since_s, until_s in phases:
        if kind == is_hostile:
            for line in result.lines(since_s=since_s, until_s=until_s):
                tally.add(line)
    return tally


def _judge_reads(world: World, what: str, quiet: Tally, attacked: Tally) -> None:
    world.judge(
        what,
        "no read of others fails",
        str(attacked),
        attacked.total > 0 and not attacked.failed and not quiet.failed,
    )
    floor_s = SHORT_FLOOR_S if world.is_short else FLOOR_S
    usual_s, worst_s = quiet.percentile_s(99), attacked.percentile_s(99)
    world.judge(
        what,
        f"p99 of others at most x {TIMES:g} (of {floor_s * 1000:.0f} ms at least)",
        f"{usual_s * 1000:.1f} ms before, {worst_s * 1000:.1f} ms during",
        worst_s <= TIMES * max(usual_s, floor_s),
    )


def told(counts: Counter[str]) -> str:
    """Return counts in a line."""
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
