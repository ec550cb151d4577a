"""What the size of the catalogue costs, and what a near cache of a given size buys.

    python -m bench.scale [--rows 5000 50000 500000] [--stores embedded Cassandra] [--seconds 15]
                          [--parts sizes curve layers]

For each size and store: CPU per request of all processes and resident memory under the activity
with Zipf's law and with all titles alike, at one rate, after a warm-up longer than NEAR_TTL_S. At
the largest size: the share of rows that the near cache had by NEAR_BYTES, at ten times the rate and
with nothing forgotten, as at 400 requests/s what is asked for within NEAR_TTL_S fits into any; and
the share that Cassandra had to read, layer by layer. Figures go to results/scale.json; parts that
are not asked for stay there as they were.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.lab.asking import ids_of
from bench.lab.processes import Server, interruptible
from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.targets import Service, catalogue
from bench.ladder.machine import machine, versions
from bench.ladder.measure import Load, open_loop
from bench.ladder.run import WRITES
from bench.ladder.rungs import BARE, NEAR, Standing
from bench.load.activity import Behaviour
from bench.report import RESULTS

SHAPES = {"Zipf 0.9": 0.9, "uniform": 0.0}
NEAR_BYTES = (1 << 20, 4 << 20, 16 << 20, 64 << 20)
NO_REDIS = {"REDIS_HOST": "", "REDIS_PORT": ""}
LAYERS: dict[str, Mapping[str, str]] = {
    "Cassandra": {**BARE, **NO_REDIS},
    "+ Redis": BARE,
    "+ near cache": NEAR,
    "+ fast lane": {},
}
PARTS = ("sizes", "curve", "layers")
CURVE_WARM_S = 20.0  # some 70,000 rows asked for
JVM_S = 60.0  # then it has compiled what it runs
WARM_S = 8.0  # NEAR_TTL_S is 5: from then on as much is forgotten as is filled
KEPT = ("rate_s", "requests", "failed", "wrong", "late", "cpu_us", "layers", "latency_ms")
HEAD = "| store | rows | measured | CPU us/request | of it Cassandra | MB | near | store |\n"


class Case(NamedTuple):
    """A measurement: its part of the result, its name, and the settings and load that make it.

    An empty setting takes a setting away.
    """

    part: str
    name: str
    load: Load
    settings: Mapping[str, str]


def cases(asked: argparse.Namespace, store: str, rows: int) -> Iterator[Case]:
    """Yield the measurements of one store; the curve and the layers at the largest size alone."""
    load = Load(Behaviour(rate_s=asked.rate), WARM_S, asked.seconds)
    fast = Load(Behaviour(rate_s=10 * asked.rate), CURVE_WARM_S, asked.seconds)
    for shape, zipf in SHAPES.items():
        shaped = load._replace(behaviour=replace(load.behaviour, zipf=zipf))
        yield Case("sizes", shape, shaped, {})
        if rows == max(asked.rows) and store == asked.stores[0]:
            shaped = fast._replace(behaviour=replace(fast.behaviour, zipf=zipf))
            for size in NEAR_BYTES:
                near = {"NEAR_BYTES": str(size), "NEAR_TTL_S": "3600"}
                yield Case("curve", f"{shape}, {size >> 20} MiB near", shaped, near)
    if rows == max(asked.rows) and store != "embedded":
        for layer, settings in LAYERS.items():
            yield Case("layers", layer, load, settings)


class Site:
    """A store with a catalogue and, before Cassandra, a Redis."""

    def __init__(self, store: str, rows: int, folder: Path, running: ExitStack) -> None:
        self._ids = folder / f"ids-{store}-{rows}"
        self._stores: dict[str, list[Server]] = {}
        self._settings: Mapping[str, str] = {"EMBEDDED_PATH": str(folder / f"{rows}.sqlite3")}
        if store != "embedded":
            cassandra = running.enter_context(CassandraNode())
            redis = running.enter_context(RedisServer())
            self._stores = {"cassandra": [cassandra], "redis": [redis]}
            self._settings = settings_of(cassandra, redis)
        catalogue(self._settings, "generate", str(rows))

    def seen(self, load: Load, more: Mapping[str, str]) -> dict[str, Any]:
        """Load a new service; return its figures, and the memory of all processes in MB."""
        settings = {name: each for name, each in {**self._settings, **more}.items() if each}
        with Service(settings) as service:
            if not self._ids.exists():
                self._ids.write_text("\n".join(ids_of(service)) + "\n")
            stands = Standing(service, {"service": [service], **self._stores})
            seen = open_loop(stands, self._ids, load)
            memory_mb = {
                role: round(sum(each.resident_bytes() for each in servers) / 1e6, 1)
                for role, servers in stands.roles.items()
            }
        return {**{name: seen[name] for name in KEPT}, "memory_mb": memory_mb}


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure every case of every size of every store."""
    result: dict[str, Any] = {part: [] for part in asked.parts}
    for store, rows in ((store, rows) for store in asked.stores for rows in asked.rows):
        with ExitStack() as running:
            site = Site(store, rows, folder, running)
            if store != "embedded":
                print("for the JVM to get warm", flush=True)
                writes = Behaviour(rate_s=asked.rate, write_share=WRITES)
                site.seen(Load(writes, WARM_S, JVM_S), LAYERS["Cassandra"])
            for case in cases(asked, store, rows):
                if case.part in asked.parts:
                    print(f"{store}, {rows:,} rows, {case.name}", flush=True)
                    seen = site.seen(case.load, case.settings)
                    result[case.part].append(
                        {"store": store, "rows": rows, "name": case.name, **seen}
                    )
    return result


def line(seen: Mapping[str, Any]) -> str:
    """Return a line of the table."""
    cpu_us, shares = seen["cpu_us"], seen["layers"]
    return (
        f"| {seen['store']} | {seen['rows']:,} | {seen['name']} | {sum(cpu_us.values()):,.0f} "
        f"| {cpu_us.get('cassandra', 0):,.0f} | {seen['memory_mb']['service']:,.0f} "
        f"| {shares.get('near', 0):.0%} | {shares.get('store', 0):.1%} |"
    )


def main() -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 50_000, 500_000])
    parser.add_argument("--stores", nargs="+", default=["embedded", "Cassandra"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--results", type=Path, default=RESULTS / "scale.json")
    asked = parser.parse_args()
    with interruptible(), TemporaryDirectory(prefix="scale-") as folder:
        result = run(asked, Path(folder))
        lines = [line(seen) for part in asked.parts for seen in result[part]]
        result |= {"machine": machine(), "versions": versions(), "seconds": asked.seconds}
        if asked.results.exists() and set(asked.parts) != set(PARTS):
            result = json.loads(asked.results.read_text()) | result
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        asked.results.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\n{HEAD}{'|---' * 8}|\n" + "\n".join(lines))
        return 0
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main())
