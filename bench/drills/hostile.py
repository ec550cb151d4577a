"""Clients that mean harm: the answers to others stay quick, and the service does not grow."""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing.connection import Connection as Pipe
from typing import NamedTuple

import uvloop

import server
from bench.drills.world import World, reading, warm, zipf
from bench.lab.asking import ids_of
from bench.lab.processes import Server
from bench.load.loops import offered, paced
from bench.load.result import Tally


class Attack(NamedTuple):
    """A request without an end: ``begin``, and then ``part`` so many ``times``, every ``pause_s``.
    ``clients`` attack at once, ``again`` and again or once."""

    name: str
    clients: int
    begin: bytes
    part: bytes = b""
    times: int = 0
    pause_s: float = 0.0
    again: bool = True


HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
STALLED = b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
ENDLESS = 1 << 30
CHUNK = b"X-Padding: " + b"x" * 65_000 + b"\r\n"
ATTACKS = (
    Attack("slow lorises", 500, HEAD + b"X-Slow: ", b"x", ENDLESS, 1.0),
    Attack("stalled bodies", 100, STALLED),
    Attack("20 MB of headers", 2, HEAD, CHUNK, 20_000_000 // len(CHUNK)),
    Attack("100,000 headers", 2, HEAD, b"a: b\r\n" * 1_000, 100),
)
STATUS_BYTES = 12
PAUSE_S = 0.5
ROUNDS = 2
GROWTH_BYTES = 20_000_000
TIMES, FLOOR_S, SHORT_FLOOR_S = 2.0, 0.01, 0.05
"""Twice what a quiet machine shows is often nothing but a busy one: a p99 below the floor counts as
the floor. The short form has few requests, and other tests beside it."""
SAMPLE_S = 0.1
START_S = 120.0
KEYS = 1_000


async def _attack(counts: Counter[str], host: str, port: int, attack: Attack) -> None:
    again = True
    while again:
        again = attack.again
        try:
            reader, writer = await asyncio.open_connection(host, port)
            counts[f"{attack.name} begun"] += 1
        except OSError:
            counts[f"{attack.name} refused"] += 1
            await asyncio.sleep(PAUSE_S)
            continue
        answer = b""
        with suppress(OSError):  # a reset takes with it what was said before
            answer = await _once(reader, writer, attack)
        writer.transport.abort()
        is_answer = answer.startswith(b"HTTP/1.1 ")
        counts[f"{attack.name} {answer[9:12].decode() if is_answer else 'ended'}"] += 1
        await asyncio.sleep(0 if attack.pause_s else PAUSE_S)


async def _once(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, attack: Attack
) -> bytes:
    """Attack until an answer comes, and return its first bytes."""
    writer.write(attack.begin)
    for _ in range(attack.times):
        writer.write(attack.part)
        if not attack.pause_s:
            await writer.drain()
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(attack.pause_s):
                return await reader.read(STATUS_BYTES)
    if attack.times:
        writer.write(b"\r\n")
    return await reader.read(STATUS_BYTES)


@contextmanager
def hostile(
    service: Server, counts: Counter[str], attacks: Sequence[Attack] = ATTACKS
) -> Iterator[None]:
    """Keep a block under attack, from another process; what became of the attacks is added to
    ``counts`` at its end."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_run, args=(theirs, service.host, service.port, attacks), daemon=True
    )
    process.start()
    theirs.close()
    try:
        with ours:
            assert ours.poll(START_S), "the attackers do not begin"
            ours.recv()
            yield
            ours.send("end")
            assert ours.poll(START_S), "the attackers do not end"
            counts += ours.recv()
    finally:
        process.join(START_S)
        process.kill()


def _run(pipe: Pipe, host: str, port: int, attacks: Sequence[Attack]) -> None:
    """Run the process, until it is told to end, or its parent has gone."""
    server.allow_connections()

    async def run() -> Counter[str]:
        counts = Counter[str]()
        clients = [each for each in attacks for _ in range(each.clients)]
        tasks = [asyncio.create_task(_attack(counts, host, port, each)) for each in clients]
        while counts.total() < len(tasks):  # noqa: ASYNC110 - they tell nobody
            await asyncio.sleep(0.05)
        pipe.send("begun")
        await asyncio.to_thread(pipe.poll, None)
        return counts.copy()  # before the end of the loop cancels the attacks

    counts = uvloop.run(run())
    with suppress(OSError):  # the parent has gone
        pipe.send(counts)


def run(world: World) -> None:
    """Judge the answers of others, and the memory, under attack."""
    rate_s, seconds = (150, 2.5) if world.is_short else (300, 15.0)
    service = world.service(world.cassandra, world.redis())
    rows = [reading(each) for each in ids_of(service)[:KEYS]]
    warm(service, rows)
    counts = Counter[str]()
    quiet, attacked = Tally(), Tally()
    with offered(service.host, service.port, paced(zipf(rows), rate_s)) as result:
        time.sleep(1)
        before = most = service.resident_bytes()
        phases: list[tuple[Tally, float, float]] = []
        for _ in range(ROUNDS):
            for tally, attackers in ((quiet, nullcontext()), (attacked, hostile(service, counts))):
                with attackers:
                    began_s = time.monotonic()
                    while time.monotonic() < began_s + seconds:
                        most = max(most, service.resident_bytes())
                        time.sleep(SAMPLE_S)
                    phases.append((tally, began_s, time.monotonic()))
    for tally, since_s, until_s in phases:
        for line in result.lines(since_s=since_s, until_s=until_s):
            tally.add(line)
    what = ", ".join(f"{each.clients} {each.name}" for each in ATTACKS)
    judge_reads(world, what, quiet, attacked)
    world.judge(
        what,
        f"memory stays within {GROWTH_BYTES / 1e6:.0f} MB",
        f"{before / 1e6:.0f} MB before, at most {most / 1e6:.0f} MB",
        most - before <= GROWTH_BYTES,
    )
    begun = sum(number for name, number in counts.items() if name.endswith("begun"))
    least = ROUNDS * sum(each.clients for each in ATTACKS)
    world.judge(what, "the attacks arrive", told(counts), begun >= least)


def judge_reads(world: World, what: str, quiet: Tally, attacked: Tally) -> None:
    """Judge the reads of others."""
    holds = attacked.is_clean and not quiet.failed
    world.judge(what, "no read of others fails", str(attacked), holds)
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
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())
