"""What a page of titles costs: one request for 30 rows beside 30 requests for one row each.

`python -m bench.page [--rounds N] [--seconds S]`. The service has the embedded store and a Redis,
and answers from its near cache, then from Redis (`NEAR_BYTES=0`). A client asks for page after page
on connections that are kept alive, with one request in flight, or with six as browsers have them:
by 30 requests a page, or by one. Each way is measured in every round, one after another. CPU is
that of the service for a page, p99 is the client's time for a page, or for six pages at a time, and
both are medians over rounds. The ratio is that of the CPU of 30 requests to that of one, with as
many in flight, within each round.
"""

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

TITLES, PAGES = 30, 42
IN_FLIGHT = 1, 6
SERVER_CORE = 0
HEAD = (
    "| rows from | requests in flight | 30 requests, CPU us | p99 ms | one request, CPU us | p99 ms"
    " | ratio |\n|---|---|---|---|---|---|---|"
)


class Cost(NamedTuple):
    """What one round has measured for a page."""

    cpu_us: float
    p99_ms: float


class Client:
    """Asks a service for pages. Raises AssertionError if an answer is not 200."""

    def __init__(self, service: Service, in_flight: int, running: ExitStack) -> None:
        where = service.host, service.port
        self._connections = [
            running.enter_context(socket.create_connection(where)) for _ in range(in_flight)
        ]

    def by_rows(self, pages: Sequence[Sequence[str]]) -> None:
        """Ask for each row by a request of its own."""
        self._ask([f"/content/{video_id}" for page in pages for video_id in page])

    def by_pages(self, pages: Sequence[Sequence[str]]) -> None:
        """Ask for each page by one request."""
        self._ask(["/content?ids=" + ",".join(page) for page in pages])

    def _ask(self, targets: Sequence[str]) -> None:
        step = len(self._connections)
        for at in range(0, len(targets), step):
            asked = list(zip(self._connections, targets[at : at + step], strict=False))
            for connection, target in asked:
                connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            for connection, _ in asked:
                head, _, body = connection.recv(262_144).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200"), head
                left = int(head.partition(b"content-length: ")[2].partition(b"\r")[0]) - len(body)
                while left:
                    left -= len(connection.recv(262_144))


Costs = dict[int, tuple[list[Cost], list[Cost]]]
"""By the number of requests in flight: each round of 30 requests a page, and of one request."""


def measure(service: Service, rounds: int, seconds: float) -> Costs:
    """Measure each way in every round, after a round that warms up."""
    ids = ids_of(service, TITLES * PAGES)
    pages = [ids[at : at + TITLES] for at in range(0, len(ids), TITLES)]
    costs: Costs = {in_flight: ([], []) for in_flight in IN_FLIGHT}
    with ExitStack() as running:
        clients = {each: Client(service, each, running) for each in IN_FLIGHT}
        for number in range(-1, rounds):
            for in_flight, client in clients.items():
                groups = [pages[at : at + in_flight] for at in range(0, PAGES, in_flight)]
                for way, found in zip(
                    (client.by_rows, client.by_pages), costs[in_flight], strict=True
                ):
                    cost = _cost_of(service, way, groups, seconds)
                    if number >= 0:
                        found.append(cost)
                        print(f"{service.name}, {way.__name__}: {cost}", file=sys.stderr)
    return costs


def _cost_of(
    service: Service,
    way: Callable[[Sequence[Sequence[str]]], None],
    groups: Sequence[Sequence[Sequence[str]]],
    seconds: float,
) -> Cost:
    took_s, before_s, end_s = list[float](), service.cpu_s(), time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < end_s:
        way(groups[len(took_s) % len(groups)])
        took_s.append(time.perf_counter() - began_s)
    used_s, pages = service.cpu_s() - before_s, len(took_s) * len(groups[0])
    return Cost(used_s / pages * 1e6, statistics.quantiles(took_s, n=100)[-1] * 1e3)


def lines(name: str, costs: Costs) -> list[str]:
    """Return a line for each number of requests in flight, in Markdown."""
    found = []
    for in_flight, (many, one) in costs.items():
        ratio = statistics.median(a.cpu_us / b.cpu_us for a, b in zip(many, one, strict=True))
        shown = " | ".join(
            f"{statistics.median(each.cpu_us for each in way):.0f} | "
            f"{statistics.median(each.p99_ms for each in way):.2f}"
            for way in (many, one)
        )
        found.append(f"| {name} | {in_flight} | {shown} | {ratio:.1f} |")
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
