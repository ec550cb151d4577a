"""What a request costs: CPU microseconds per request of each way to answer one, in one run.

Every way is measured by wrk in every round, and the figure is the median over rounds. Ratios to the
empty apps are what to compare between machines. An answer that is not 200 fails the run. `--only`
measures the ways whose name has one of the texts, and the empty apps.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from redis import Redis

from bench.lab.asking import ask, ids_of
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import HttpServer, Service, installed, load_catalogue
from bench.load import wrk
from bench.peers.servers import Koa, Nginx, Python

SERVER_CORE, LOAD_CORE = 0, 1
ONE, IDS, MANY = 1, 1_000, 2_000
RAW, ROUTE = "empty raw ASGI app", "empty Starlette route"
RANDOM = f"{MANY:,} rows at random"
HEAD = "| way | CPU us/request | requests/s | x raw ASGI | x route |\n|---|---|---|---|---|"
UNCACHED = {"NEAR_BYTES": "0", "REDIS_TTL_S": "0.001", "STALE_S": "0"}


class Way(NamedTuple):
    """One way to answer: ``ids`` different rows are asked for, in turn or at random."""

    name: str
    server: HttpServer
    ids: int


class Cost(NamedTuple):
    """What one round has measured."""

    cpu_us: float
    requests_per_s: float


def cost_of(way: Way, ids: Path, seconds: int) -> Cost:
    """Load one way for ``seconds``; raises ServerError if an answer is not 200."""
    before_s = way.server.cpu_s()
    order = "random" if RANDOM in way.name else "turn"
    command = wrk.command(way.server.url, seconds, "ids.lua", ids, way.ids, order)
    seen = wrk.run([installed("taskset"), "-c", str(LOAD_CORE), *command])
    if seen.failed:
        raise ServerError(f"{way.name} failed under load: {seen}")
    used_s = way.server.cpu_s() - before_s
    return Cost(used_s / seen.requests * 1e6, seen.requests / seen.seconds)


class Ways:
    """Every way to answer, on servers that are started when they are asked for."""

    def __init__(self, running: ExitStack, only: Sequence[str]) -> None:
        self._running, self._only = running, only
        self.found: list[Way] = []
        self._redis = running.enter_context(RedisServer())
        self._cassandra = running.enter_context(CassandraNode())
        self._settings = settings_of(self._cassandra, self._redis)
        load_catalogue(self._settings)
        self._fast = running.enter_context(self._service("near"))
        self.ids = ids_of(self._fast, MANY)

    def _service(self, name: str, **more: str) -> Service:
        """Return our service with further settings; an empty one takes a setting away."""
        settings = {key: value for key, value in {**self._settings, **more}.items() if value}
        return Service(settings, name=name, core=SERVER_CORE)

    def _add(self, name: str, ids: int, make: Callable[[], HttpServer]) -> None:
        """Add a way; if a program is missing, say that the way is left out."""
        is_floor = name in (RAW, ROUTE)
        if self._only and not is_floor and not any(text in name for text in self._only):
            return
        try:
            self.found.append(Way(name, self._running.enter_context(make()), ids))
        except ServerError as error:
            print(f"left out: {name}: {error}")

    def add_all(self) -> None:
        """Add the floors, our layers and the peers."""
        fast, redis, node = self._fast, self._redis, self._cassandra
        no_redis = {"REDIS_HOST": "", "REDIS_PORT": ""}
        # a database of its own, where nothing that another service filled is found
        own = {**no_redis, "REDIS_URL": f"redis://{redis.host}:{redis.port}/1"}
        nginx = Nginx(fast.url, SERVER_CORE)
        self._add(RAW, ONE, lambda: Python("raw", SERVER_CORE))
        self._add(ROUTE, ONE, lambda: Python("route", SERVER_CORE))
        for what, ids in (("", ONE), (f", {IDS:,} rows", IDS), (f", {RANDOM}", MANY)):
            self._add(f"near hit, fast lane{what}", ids, lambda: fast)
        self._add("near hit, onion", ONE, lambda: self._service("onion", FAST_LANE="0"))
        self._add("Redis hit", IDS, lambda: self._service("redis", NEAR_BYTES="0"))
        uncached = {**UNCACHED, **own}
        self._add("Cassandra, lease and fill", IDS, lambda: self._service("store", **uncached))
        alone = {"NEAR_BYTES": "0", **no_redis}
        self._add("Cassandra alone", IDS, lambda: self._service("bare", **alone))
        self._add("nginx proxy_cache hit", ONE, lambda: nginx)
        self._add(f"nginx proxy_cache hit, {RANDOM}", MANY, lambda: nginx)
        self._add("Koa + ioredis, Redis hit", IDS, self._koa_hits)
        koa = Koa("uncached", redis.port, node.port, SERVER_CORE)
        self._add("the Koa original's shape, uncached", MANY, lambda: koa)
        driver = Python("driver", SERVER_CORE, self._settings, self.ids[0])
        self._add("empty route and the driver", IDS, lambda: driver)

    def _koa_hits(self) -> Koa:
        """Return the peer of Redis hits, with the bodies of our rows where it reads them."""
        with Redis(self._redis.host, self._redis.port) as redis:
            for video_id in self.ids[:IDS]:
                redis.set(f"koa:{video_id}", ask(self._fast, f"/content/{video_id}").body)
        return Koa("hits", self._redis.port, core=SERVER_CORE)


def in_rounds(ways: Mapping[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[Any]]:
    """Measure every way in every round, so that a noisy moment meets all; the first one warms
    up."""
    costs: dict[Any, list[Any]] = {name: [] for name in ways}
    for number in range(-1, rounds):
        for name, measure in ways.items():
            found = measure()
            if number >= 0:
                costs[name].append(found)
                print(f"round {number + 1}: {name}: {found}", file=sys.stderr)
    return costs


def table(costs: dict[str, list[Cost]]) -> str:
    """Return medians, and ratios taken within each round before their median, in Markdown."""
    lines = [HEAD]
    for name, those in costs.items():
        ratios = (
            statistics.median(a.cpu_us / b.cpu_us for a, b in zip(those, costs[floor], strict=True))
            for floor in (RAW, ROUTE)
        )
        cpu_us, rate = (statistics.median(each) for each in zip(*those, strict=True))
        shown = " | ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(f"| {name} | {cpu_us:.1f} | {rate:,.0f} | {shown} |")
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
        measures = {way.name: partial(cost_of, way, ids, options.seconds) for way in ways.found}
        print(table(in_rounds(measures, options.rounds)))


if __name__ == "__main__":
    main()
