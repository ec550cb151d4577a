"""What a page of titles costs: one request for 30 rows beside 30 requests for one row each.

The service has the embedded store and a Redis, and answers from its near cache, then from Redis. A
client keeps one connection, or six as browsers do. CPU is that of the service for a page, p99 is
the client's time for a page, or for six pages at a time; both are medians over rounds. The ratio is
that of the CPU of 30 requests to that of one, with as many in flight, within each round.
"""

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.cost import in_rounds
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

    def ask(self, targets: Sequence[str]) -> None:
        """Send a request on each connection, read the answers, and so on."""
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


Way = tuple[int, int]  # the number of requests in flight, and for a page


def measure(service: Service, rounds: int, seconds: float) -> dict[Way, list[Cost]]:
    """Measure each way in every round."""
    ids = ids_of(service, TITLES * PAGES)
    pages = [ids[at : at + TITLES] for at in range(0, len(ids), TITLES)]
    ways: dict[Way, Callable[[], Cost]] = {}
    with ExitStack() as running:
        for in_flight in IN_FLIGHT:
            client = Client(service, in_flight, running)
            groups = [pages[at : at + in_flight] for at in range(0, PAGES, in_flight)]
            rows = [[f"/content/{each}" for page in group for each in page] for group in groups]
            client.ask(rows[0])  # a connection without a request is closed after ARRIVAL_S
            whole = [["/content?ids=" + ",".join(page) for page in group] for group in groups]
            for number, targets in ((TITLES, rows), (1, whole)):
                ways[in_flight, number] = partial(_cost_of, service, client, targets, seconds)
        return in_rounds(ways, rounds)


def _cost_of(
    service: Service, client: Client, groups: Sequence[Sequence[str]], seconds: float
) -> Cost:
    took_s, before_s, end_s = list[float](), service.cpu_s(), time.perf_counter() + seconds
    while (began_s := time.perf_counter()) < end_s:
        client.ask(groups[len(took_s) % len(groups)])
        took_s.append(time.perf_counter() - began_s)
    used_s, pages = service.cpu_s() - before_s, len(took_s) * PAGES / len(groups)
    return Cost(used_s / pages * 1e6, statistics.quantiles(took_s, n=100)[-1] * 1e3)


def lines(name: str, costs: dict[Way, list[Cost]]) -> list[str]:
    """Return a line for each number of requests in flight, in Markdown."""
    found = []
    for in_flight in IN_FLIGHT:
        many, one = costs[in_flight, TITLES], costs[in_flight, 1]
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
