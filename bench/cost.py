"""What a request costs: CPU microseconds per request of each way to answer one, in one run.

`python -m bench.cost [--rounds N] [--seconds S]`. Every way is measured in every round, one after
another, with wrk on another core, so that a noisy moment of the machine meets all of them; the
figure is the median over rounds of the process's own CPU time over the answers it gave. Ratios to
the empty apps are what to compare between machines. An answer that is not 200 fails the run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, cast

from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import ROOT, Empty, Floor, HttpServer, Koa, Nginx, Service, installed
from bench.stack import load_catalogue

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 64
IDS = 1_000


class Way(NamedTuple):
    """One way to answer: ``ids`` different rows asked for in turn, as ``server`` is set up."""

    name: str
    server: HttpServer
    ids: int


class Cost(NamedTuple):
    cpu_us: float
    requests_per_s: float


def wrk_command(url: str, seconds: int, ids: Path, count: int) -> list[str]:
    """Keep-alive load on the load's core: the first ``count`` rows of the file ``ids`` in turn."""
    return [
        *(installed("taskset"), "-c", str(LOAD_CORE)),
        *(installed("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"),
        *("-s", str(ROOT / "bench" / "wrk" / "ids.lua"), url, "--", str(ids), str(count)),
    ]


def wrk(way: Way, ids: Path, seconds: int) -> Cost:
    """Loads for so long and sees what it cost."""
    before = way.server.cpu_s()
    result = subprocess.run(
        wrk_command(way.server.url, seconds, ids, way.ids),
        capture_output=True,
        text=True,
        check=True,
    )
    used = way.server.cpu_s() - before
    text = result.stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise ServerError(f"{way.name} failed under load:\n{text}")
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", text)
    assert found is not None, text
    requests = int(found[1])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return Cost(used / requests * 1e6, float(rate[1]) if rate else 0.0)


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def prepare(service: Service, koa_redis: RedisServer, folder: Path) -> Path:
    """Loads the catalogue, writes the file of ids, and puts the same bodies where Koa reads."""
    ids = fetch(f"{service.url}/uuids?limit={IDS}")["data"]
    path = folder / "ids"
    path.write_text("\n".join(ids) + "\n")
    with socket.create_connection((koa_redis.host, koa_redis.port)) as redis:
        for video_id in ids:
            with urllib.request.urlopen(f"{service.url}/content/{video_id}") as response:
                body = response.read()
            key = f"koa:{video_id}".encode()
            redis.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n" % (len(key), key))
            redis.sendall(b"$%d\r\n%b\r\n" % (len(body), body))
            assert redis.recv(64) == b"+OK\r\n"
    return path


def ways(settings: dict[str, str], running: ExitStack, redis: RedisServer) -> list[Way]:
    """Starts every server; what this machine lacks is said and left out."""

    def service(name: str, **more: str) -> Service:
        return Service(name, SERVER_CORE, {**settings, **more})

    bare = {name: value for name, value in settings.items() if not name.startswith("REDIS")}
    # a database of its own, where nothing that another service filled is found
    own = f"redis://{redis.host}:{redis.port}/1"
    uncached = {"NEAR_BYTES": "0", "REDIS_TTL_S": "0.001", "STALE_S": "0", "REDIS_URL": own}
    fast = service("near, fast lane")
    found = [
        Way("empty raw ASGI app", Empty("raw", SERVER_CORE), 1),
        Way("empty Starlette route", Empty("route", SERVER_CORE), 1),
        Way("near hit, fast lane", fast, 1),
        Way("near hit, fast lane, 1,000 rows", fast, IDS),
        Way("near hit, onion", service("near, onion", FAST_LANE="0"), 1),
        Way("Redis hit", service("redis", NEAR_BYTES="0"), IDS),
        Way("Cassandra, lease and fill", Service("store", SERVER_CORE, {**bare, **uncached}), IDS),
        Way("Cassandra alone", Service("bare", SERVER_CORE, {**bare, "NEAR_BYTES": "0"}), IDS),
    ]
    for server in {id(way.server): way.server for way in found}.values():
        running.enter_context(server)
    for name, make, ids in (
        ("nginx proxy_cache hit", lambda: Nginx(SERVER_CORE, fast.url), 1),
        ("Koa + ioredis, Redis hit", lambda: Koa(SERVER_CORE, redis.port), IDS),
    ):
        try:
            found.append(Way(name, running.enter_context(make()), ids))
        except ServerError as error:
            print(f"left out: {name}: {error}")
    return found


def measure(found: list[Way], ids: Path, rounds: int, seconds: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {way.name: [] for way in found}
    for number in range(-1, rounds):  # the first round warms up what is warmed up by use
        for way in found:
            cost = wrk(way, ids, seconds)
            if number >= 0:
                costs[way.name].append(cost)
                print(f"round {number + 1}: {way.name}: {cost.cpu_us:.1f} us", file=sys.stderr)
    return costs


def table(costs: dict[str, list[Cost]]) -> str:
    """Medians, and ratios taken within each round before their median."""
    raw, route = costs["empty raw ASGI app"], costs["empty Starlette route"]

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program} is not installed")
    with ExitStack() as running, tempfile.TemporaryDirectory() as folder:
        redis = running.enter_context(RedisServer())
        settings = dict(settings_of(running.enter_context(CassandraNode()), redis))
        load_catalogue({**os.environ, **settings})
        found = ways(settings, running, redis)
        ids = prepare(cast(Service, found[2].server), redis, Path(folder))
        floor = Floor(SERVER_CORE, settings, ids.read_text().split()[0])
        found.append(Way("empty route and the driver", running.enter_context(floor), IDS))
        print(table(measure(found, ids, options.rounds, options.seconds)))


if __name__ == "__main__":
    main()
