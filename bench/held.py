"""What may all connections of a worker make it hold? Stall each in a body, then each in a head.

    python -m bench.held [--connections 10000]

Each line says what became of the connections, the memory of the worker, and the near hits of
another client meanwhile. Status 1: the memory was above the limit that ``stack.yml`` sets, less
what a full near cache would add; a near hit failed; or the connections did not end.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

import server
from bench.drills.traffic import reading, warm
from bench.lab.asking import ask, seconds_until
from bench.lab.targets import Service
from bench.load.loops import offered, paced

LIMIT_BYTES = (512 - 64) * 2**20
SPARE = 50
"""Connections beside the stalled ones: the client of near hits, and probes."""
RATE_S = 100
HOLD_S = 5.0
GROWTH_BYTES = 2**18
START_S = 120.0
BODY = (
    b"POST /content HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 65536\r\n\r\n"
) + b" " * 65_535
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"".join(
    b"X-%02d: %b\r\n" % (number, b"y" * 155) for number in range(99)
)
STALLS = {
    "a body of 3.5 KB, which the budget does not count": BODY[:3_500],
    "a body of 64 KiB": BODY,
    "a head of 16 KiB and 100 fields": HEAD,
}


class Stalled(asyncio.Protocol):
    """Sends all but the last bytes of a request, and counts how it was answered."""

    def __init__(self, sent: bytes, counts: Counter[str]) -> None:
        self._sent, self._counts, self._status = sent, counts, ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._counts["connected"] += 1
        transport.write(self._sent)

    def data_received(self, data: bytes) -> None:
        if not self._status:
            self._status = data[9:12].decode()
            self._counts[self._status] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._status:
            self._counts["ended"] += 1


def _stall(host: str, port: int, sent: bytes, number: int, pipe: Pipe) -> None:
    """The process of the connections, until the pipe tells it to end."""
    server.allow_connections()
    counts: Counter[str] = Counter()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        at_once = asyncio.Semaphore(200)

        async def connect() -> asyncio.Transport | None:
            async with at_once:
                try:
                    return (
                        await loop.create_connection(lambda: Stalled(sent, counts), host, port)
                    )[0]
                except OSError:
                    counts["refused"] += 1
                    return None

        transports = await asyncio.gather(*(connect() for _ in range(number)))
        pipe.send("stalled")
        await asyncio.to_thread(pipe.poll, None)
        pipe.send(Counter(counts))
        for transport in transports:
            if transport is not None:
                transport.abort()

    uvloop.run(run())


@contextmanager
def stalled(service: Service, sent: bytes, number: int, counts: Counter[str]) -> Iterator[None]:
    """A block in which so many connections have sent ``sent`` and stall."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (service.host, service.port, sent, number, theirs)
    process = context.Process(target=_stall, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        with ours:
            assert ours.poll(START_S), "the connections do not stall"
            ours.recv()
            yield
            ours.send("end")
            counts += ours.recv()
    finally:
        process.join(START_S)
        process.kill()


def peak_bytes(service: Service) -> int:
    """The most memory that the service ever had."""
    status = Path(f"/proc/{service.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def settled_bytes(service: Service) -> int:
    """The memory of the service once it has read what there is: it has grown by nothing."""
    before, now = 0, service.resident_bytes()
    while now - before > GROWTH_BYTES:
        time.sleep(HOLD_S)
        before, now = now, service.resident_bytes()
    return now


def connections(service: Service) -> int:
    (line,) = (
        line
        for line in ask(service, "/metrics").body.decode().splitlines()
        if line.startswith("content_connections ")
    )
    return int(float(line.split()[1]))


def run(service: Service, number: int) -> bool:
    """Whether all held."""
    draft = {"title": "held", "genres": ["Held"], "isMovie": True}
    row = reading(ask(service, "/content", "POST", draft).data["id"])
    warm(service, [row])
    before, holds = service.resident_bytes(), True
    print(f"before: {before / 2**20:.0f} MiB")
    requests = iter(lambda: row, None)
    for name, sent in STALLS.items():
        counts: Counter[str] = Counter()
        with offered(service.host, service.port, paced(requests, RATE_S), connections=8) as result:
            with stalled(service, sent, number, counts):
                held = settled_bytes(service)
            gone_s = seconds_until(lambda: connections(service) < SPARE)
        tally, most = result.tally(), peak_bytes(service)
        after = service.resident_bytes()
        holds = holds and most < LIMIT_BYTES and not tally.failed and gone_s is not None
        print(
            f"{name}: {dict(counts)}; {held / 2**20:.0f} MiB held, {most / 2**20:.0f} MiB at most,"
            f" {after / 2**20:.0f} MiB after; near hits meanwhile: {tally}"
        )
    return holds


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.held", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    number: int = parser.parse_args().connections
    server.allow_connections()
    with TemporaryDirectory(prefix="held-") as folder:
        settings = {
            "EMBEDDED_PATH": f"{folder}/content.sqlite3",
            "CONNECTIONS_MAX": str(number),
            "ARRIVAL_S": "120",
        }
        with Service(settings, Path(folder)) as service:
            holds = run(service, number - SPARE)
    print("held" if holds else "did not hold")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
