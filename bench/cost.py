"""What a request costs: CPU microseconds per request of each way to answer one, in one run.

`python -m bench.cost [--rounds N] [--seconds S] [--only TEXT ...]`. Every way is measured in every
round, one after another, with wrk on another core, so that a noisy moment of the machine meets all
of them; the figure is the median over rounds of the process's own CPU time over the answers it
gave. Ratios to the empty apps are what to compare between machines. An answer that is not 200 fails
the run. `--only` measures the ways whose name has one of the texts, and the empty apps. What needs
a program that is missing is left out, and said.
"""

from __future__ import annotations

import argparse
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from bench.lab.asking import ask, ids_of
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import ROOT, HttpServer, Service, installed, load_catalogue
from bench.peers.servers import Koa, Nginx, Python

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 64
IDS, MANY = 1_000, 2_000
RAW, ROUTE = "empty raw ASGI app", "empty Starlette route"


class Way(NamedTuple):
    """One way to answer: ``ids`` different rows are asked for, in turn or at random."""

    name: str
    server: HttpServer
    ids: int
    order: str = "turn"


class Cost(NamedTuple):
    """What one round has measured."""

    cpu_us: float
    requests_per_s: float


def wrk_command(
    url: str, seconds: int, ids: Path, *more: str, count: int = IDS, order: str = "turn"
) -> list[str]:
    """Return the command of a keep-alive load for the first ``count`` rows of the file ``ids``."""
    return [
        *(installed("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *more),
        *("-s", str(ROOT / "bench" / "wrk" / "ids.lua"), url, "--", str(ids), str(count), order),
    ]


def wrk(way: Way, ids: Path, seconds: int) -> Cost:
    """Load one way for ``seconds``; raises ServerError if an answer is not 200."""
    before = way.server.cpu_s()
    command = wrk_command(way.server.url, seconds, ids, count=way.ids, order=way.order)
    pinned = [installed("taskset"), "-c", str(LOAD_CORE), *command]
    text = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
    used = way.server.cpu_s() - before
    if "Non-2xx" in text or "Socket errors" in text:
        raise ServerError(f"{way.name} failed under load:\n{text}")
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert requests is not None, text
    assert rate is not None, text
    return Cost(used / int(requests[1]) * 1e6, float(rate[1]))


def put_bodies(service: Service, redis: RedisServer, ids: Sequence[str]) -> None:
    """Put the bodies of our rows where the peer of Redis hits reads them."""
    with socket.create_connection((redis.host, redis.port)) as connection:
        for video_id in ids:
            body = ask(service, f"/content/{video_id}").body
            key = f"koa:{video_id}".encode()
            connection.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n" % (len(key), key))
            connection.sendall(b"$%d\r\n%b\r\n" % (len(body), body))
            assert connection.recv(64) == b"+OK\r\n"


class Ways:
    """Every way to answer, on servers that are started when they are asked for."""

    def __init__(self, running: ExitStack, only: Sequence[str]) -> None:
        self._running, self._only = running, only
        self.found: list[Way] = []
        self.redis = running.enter_context(RedisServer())
        self.cassandra = running.enter_context(CassandraNode())
        self.settings = dict(settings_of(self.cassandra, self.redis))
        load_catalogue(self.settings)
        self.fast = self.service("near")
        self.started(self.fast)
        self.ids = ids_of(self.fast, MANY)

    def service(self, name: str, **more: str) -> Service:
        """Return our service with further settings; an empty one takes a setting away."""
        settings = {key: value for key, value in {**self.settings, **more}.items() if value}
        return Service(settings, name=name, core=SERVER_CORE)

    def started(self, server: HttpServer) -> HttpServer:
        """Start a server, unless it runs already, for the time of the run."""
        return server if server.running else self._running.enter_context(server)

    def add(
        self, name: str, make: Callable[[], HttpServer], ids: int = 1, order: str = "turn"
    ) -> None:
        """Add a way; if a program is missing, say that the way is left out."""
        is_floor = name in (RAW, ROUTE)
        if self._only and not is_floor and not any(text in name for text in self._only):
            return
        try:
            self.found.append(Way(name, self.started(make()), ids, order))
        except ServerError as error:
            print(f"left out: {name}: {error}")

    def add_all(self) -> None:
        """Add the floors, our layers and the peers."""
        fast, redis, node = self.fast, self.redis, self.cassandra
        random = f"{MANY:,} rows at random"
        # a database of its own, where nothing that another service filled is found
        own = {
            "REDIS_HOST": "",
            "REDIS_PORT": "",
            "REDIS_URL": f"redis://{redis.host}:{redis.port}/1",
        }
        uncached = {"NEAR_BYTES": "0", "REDIS_TTL_S": "0.001", "STALE_S": "0", **own}
        alone = {"NEAR_BYTES": "0", "REDIS_HOST": "", "REDIS_PORT": ""}
        nginx = Nginx(fast.url, SERVER_CORE)
        self.add(RAW, lambda: Python("raw", SERVER_CORE))
        self.add(ROUTE, lambda: Python("route", SERVER_CORE))
        self.add("near hit, fast lane", lambda: fast)
        self.add(f"near hit, fast lane, {IDS:,} rows", lambda: fast, IDS)
        self.add(f"near hit, fast lane, {random}", lambda: fast, MANY, "random")
        self.add("near hit, onion", lambda: self.service("onion", FAST_LANE="0"))
        self.add("Redis hit", lambda: self.service("redis", NEAR_BYTES="0"), IDS)
        self.add("Cassandra, lease and fill", lambda: self.service("store", **uncached), IDS)
        self.add("Cassandra alone", lambda: self.service("bare", **alone), IDS)
        self.add("nginx proxy_cache hit", lambda: nginx)
        self.add(f"nginx proxy_cache hit, {random}", lambda: nginx, MANY, "random")
        self.add("Koa + ioredis, Redis hit", self._koa_hits, IDS)
        self.add(
            "the Koa original's shape, uncached",
            lambda: Koa("uncached", redis.port, node.port, SERVER_CORE),
            MANY,
        )
        self.add(
            "empty route and the driver",
            lambda: Python("driver", SERVER_CORE, self.settings, self.ids[0]),
            IDS,
        )

    def _koa_hits(self) -> Koa:
        put_bodies(self.fast, self.redis, self.ids[:IDS])
        return Koa("hits", self.redis.port, core=SERVER_CORE)


def measure(found: list[Way], ids: Path, rounds: int, seconds: int) -> dict[str, list[Cost]]:
    """Measure every way in every round, after a round that warms up."""
    costs: dict[str, list[Cost]] = {way.name: [] for way in found}
    for number in range(-1, rounds):
        for way in found:
            cost = wrk(way, ids, seconds)
            if number >= 0:
                costs[way.name].append(cost)
                print(f"round {number + 1}: {way.name}: {cost.cpu_us:.1f} us", file=sys.stderr)
    return costs


def table(costs: dict[str, list[Cost]]) -> str:
    """Return medians, and ratios taken within each round before their median, in Markdown."""
    raw, route = costs[RAW], costs[ROUTE]

    def ratio(those: list[Cost], floor: list[Cost]) -> float:
        return statistics.median(a.cpu_us / b.cpu_us for a, b in zip(those, floor, strict=True))

    lines = [
        "| way | CPU us/request | requests/s | x raw ASGI | x route |",
        "|---|---|---|---|---|",
    ]
    for name, those in costs.items():
        cpu_us = statistics.median(cost.cpu_us for cost in those)
        rate = statistics.median(cost.requests_per_s for cost in those)
        lines.append(
            f"| {name} | {cpu_us:.1f} | {rate:,.0f} | {ratio(those, raw):.2f} "
            f"| {ratio(those, route):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=(), metavar="TEXT")
    options = parser.parse_args()
    try:
        for program in ("wrk", "taskset"):
            installed(program)
    except ServerError as missing:
        raise SystemExit(str(missing)) from None
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        ways = Ways(running, options.only)
        ids = Path(folder) / "ids"
        ids.write_text("\n".join(ways.ids) + "\n")
        ways.add_all()
        print(table(measure(ways.found, ids, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
