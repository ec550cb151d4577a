"""What may all connections of a worker make it hold? Stall each in a body, then each in a head.

    python -m bench.held [--connections 10000]

Each line says what became of the connections, the memory of the worker, and the near hits of
another client meanwhile. Status 1: the memory was above the limit that ``stack.yml`` sets, less
what a full near cache would add; a near hit failed; or the connections did not end.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import server
from bench.drills.traffic import reading, warm
from bench.lab.asking import ask, seconds_until
from bench.lab.targets import Service
from bench.load.apart import apart
from bench.load.loops import offered, paced

LIMIT_BYTES = (512 - 64) * 2**20
SPARE = 50
"""Connections beside the stalled ones: the client of near hits, and probes."""
RATE_S = 100
HOLD_S = 5.0
GROWTH_BYTES = 2**18
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


async def stall(
    counts: Counter[str], begun: Callable[[], None], host: str, port: int, sent: bytes, number: int
) -> None:
    """Open ``number`` connections that send ``sent``, until this is cancelled."""
    loop, at_once = asyncio.get_running_loop(), asyncio.Semaphore(200)

    async def connect() -> asyncio.Transport | None:
        async with at_once:
            try:
                made = await loop.create_connection(lambda: Stalled(sent, counts), host, port)
            except OSError:
                counts["refused"] += 1
                return None
            return made[0]

    transports = await asyncio.gather(*(connect() for _ in range(number)))
    begun()
    try:
        await asyncio.Event().wait()
    finally:
        for transport in filter(None, transports):
            transport.abort()


def settled_bytes(service: Service) -> int:
    """Return the memory of the service once it has stopped to grow."""
    before, now = 0, service.resident_bytes()
    while now - before > GROWTH_BYTES:
        time.sleep(HOLD_S)
        before, now = now, service.resident_bytes()
    return now


def connections(service: Service) -> int:
    """Return the number of connections, by the service's own count."""
    found = re.search(r"^content_connections (\S+)", ask(service, "/metrics").body.decode(), re.M)
    assert found is not None
    return int(float(found[1]))


def run(service: Service, number: int) -> bool:
    """Stall in every way; return whether all held."""
    draft = {"title": "held", "genres": ["Held"], "isMovie": True}
    row = reading(ask(service, "/content", "POST", draft).data["id"])
    warm(service, [row])
    before, holds = service.resident_bytes(), True
    print(f"before: {before / 2**20:.0f} MiB")
    requests = iter(lambda: row, None)
    for name, sent in STALLS.items():
        counts: Counter[str] = Counter()
        with offered(service.host, service.port, paced(requests, RATE_S), connections=8) as result:
            with apart(counts, stall, service.host, service.port, sent, number):
                held = settled_bytes(service)
            gone_s = seconds_until(lambda: connections(service) < SPARE)
        tally, most = result.tally(), service.peak_bytes()
        after = service.resident_bytes()
        holds = holds and most < LIMIT_BYTES and not tally.failed and gone_s is not None
        print(
            f"{name}: {dict(counts)}; {held / 2**20:.0f} MiB held, {most / 2**20:.0f} MiB at most,"
            f" {after / 2**20:.0f} MiB after; near hits meanwhile: {tally}"
        )
    return holds


def main() -> int:
    """Run from the command line; return the exit status."""
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
