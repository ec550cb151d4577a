"""What a page of titles costs: one request for 30 rows beside 30 requests for one row each.

`python -m bench.page [--rounds N] [--seconds S]`. The service has the embedded store and a Redis,
and answers from its near cache, then from Redis (`NEAR_BYTES=0`). A client asks for page after page
on connections that are kept alive: by 30 requests in turn on one connection, by 30 requests on six
connections as browsers open them, and by one request. Each way is measured in every round, one
after another. CPU is that of the service for a page, p99 is the client's time for a page, and both
are medians over rounds; the ratio is taken within each round.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.lab.asking import ids_of
from bench.lab.servers import RedisServer, settings_of
from bench.lab.targets import Service, load_catalogue

TITLES, PAGES, CONNECTIONS = 30, 40, 6
SERVER_CORE = 0
HEAD = "| rows from | way | CPU us/page | p99 ms | CPU of one request |\n|---|---|---|---|---|"


class Cost(NamedTuple):
    """What one round has measured for a page."""

    cpu_us: float
    p99_ms: float


class Client:
    """Asks a service for pages. Raises AssertionError if an answer is not 200."""

    def __init__(self, service: Service, running: ExitStack) -> None:
        where = service.host, service.port
        self._connections = [
            running.enter_context(socket.create_connection(where)) for _ in range(CONNECTIONS)
        ]

    def in_turn(self, ids: Sequence[str]) -> None:
        """Ask for row after row on one connection."""
        for video_id in ids:
            self._exchange(self._connections[:1], [f"/content/{video_id}"])

    def as_browsers_do(self, ids: Sequence[str]) -> None:
        """Ask for row after row on each of six connections."""
        for at in range(0, len(ids), CONNECTIONS):
            targets = [f"/content/{video_id}" for video_id in ids[at : at + CONNECTIONS]]
            self._exchange(self._connections, targets)

    def at_once(self, ids: Sequence[str]) -> None:
        """Ask for all rows by one request."""
        self._exchange(self._connections[:1], ["/content?ids=" + ",".join(ids)])

    def _exchange(self, connections: Sequence[socket.socket], targets: Sequence[str]) -> None:
        for connection, target in zip(connections, targets, strict=False):
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        for connection, _ in zip(connections, targets, strict=False):
            head, _, body = connection.recv(262_144).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            left = int(head.partition(b"content-length: ")[2].partition(b"\r")[0]) - len(body)
            while left:
                left -= len(connection.recv(262_144))


def measure(service: Service, rounds: int, seconds: float) -> dict[str, list[Cost]]:
    """Measure each way in every round, after a round that warms up."""
    ids = ids_of(service, TITLES * PAGES)
    pages = [ids[at : at + TITLES] for at in range(0, len(ids), TITLES)]
    with ExitStack() as running:
        client = Client(service, running)
        ways = {
            "30 requests in turn": client.in_turn,
            "30 requests on 6 connections": client.as_browsers_do,
            "one request": client.at_once,
        }
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for number in range(-1, rounds):
            for name, way in ways.items():
                cost = _cost_of(service, way, pages, seconds)
                if number >= 0:
                    costs[name].append(cost)
                    print(f"{service.name}, {name}: {cost.cpu_us:.0f} us", file=sys.stderr)
    return costs


def _cost_of(
    service: Service,
    way: Callable[[Sequence[str]], None],
    pages: Sequence[Sequence[str]],
    seconds: float,
) -> Cost:
    took_s, before_s, end_s = list[float](), service.cpu_s(), time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < end_s:
        way(pages[len(took_s) % len(pages)])
        took_s.append(time.perf_counter() - began_s)
    used_s = service.cpu_s() - before_s
    return Cost(used_s / len(took_s) * 1e6, statistics.quantiles(took_s, n=100)[-1] * 1e3)


def lines(name: str, costs: dict[str, list[Cost]]) -> list[str]:
    """Return a line for each way, in Markdown; the last way is what the others are compared to."""
    *_, one = costs.values()
    found = []
    for way, those in costs.items():
        ratio = statistics.median(a.cpu_us / b.cpu_us for a, b in zip(those, one, strict=True))
        cpu_us, p99_ms = (statistics.median(each) for each in zip(*those, strict=True))
        found.append(f"| {name} | {way} | {cpu_us:.0f} | {p99_ms:.2f} | x {ratio:.1f} |")
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores - {SERVER_CORE} or cores)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        redis = running.enter_context(RedisServer())
        settings = {"EMBEDDED_PATH": str(folder / "page.sqlite3"), **settings_of(None, redis)}
        load_catalogue(settings)
        table = [HEAD]
        for name, more in (("near", {}), ("Redis", {"NEAR_BYTES": "0"})):
            service = Service({**settings, **more}, folder, name=name, core=SERVER_CORE)
            with service:
                table += lines(name, measure(service, options.rounds, options.seconds))
        print("\n".join(table))


if __name__ == "__main__":
    main()
