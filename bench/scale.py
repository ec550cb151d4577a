"""What the size of the catalogue costs, and what a near cache of a given size buys.

Sizes: CPU per request of all processes and memory, by Zipf's law and with all titles alike, at one
rate. At the largest size, the curve: the share of rows that a near cache of each size had, at ten
times the rate and with nothing forgotten; and the layers: the share that Cassandra had to read,
layer by layer. Figures go to results/scale.json; parts that are not asked for stay as they were.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.lab.processes import interruptible
from bench.ladder.measure import machine, open_loop, versions
from bench.ladder.run import WRITES
from bench.ladder.rungs import BARE, RUNGS, Base, Build, embedded, on_stores
from bench.load.__main__ import Load
from bench.load.activity import Behaviour
from bench.report import RESULTS

SHAPES = {"Zipf 0.9": 0.9, "uniform": 0.0}
NEAR_BYTES = (1 << 20, 4 << 20, 16 << 20, 64 << 20)
STORES = {"embedded": embedded, "Cassandra": on_stores}
PARTS = ("sizes", "curve", "layers")
CURVE_WARM_S = 20.0  # some 70,000 rows asked for
JVM_S = 60.0  # then it has compiled what it runs
WARM_S = 8.0  # NEAR_TTL_S is 5: from then on as much is forgotten as is filled
KEPT = ("rate_s", "requests", "failed", "wrong", "late", "cpu_us", "layers", "latency_ms")
HEAD = "| store | rows | measured | CPU us/request | of it Cassandra | MB | near | store |\n"

Case = tuple[str, str, Load, Build]
"""A measurement: its part of the result, its name, its load, and how to start the server."""


def cases(asked: argparse.Namespace, store: str, rows: int) -> Iterator[Case]:
    """Yield the measurements of one store; the curve and the layers at the largest size alone."""
    load = Load(Behaviour(rate_s=asked.rate), WARM_S, asked.seconds)
    fast = Load(Behaviour(rate_s=10 * asked.rate), CURVE_WARM_S, asked.seconds)
    for shape, zipf in SHAPES.items():
        shaped = load._replace(behaviour=replace(load.behaviour, zipf=zipf))
        yield "sizes", shape, shaped, STORES[store]({})
        if rows == max(asked.rows) and store == asked.stores[0]:
            shaped = fast._replace(behaviour=replace(fast.behaviour, zipf=zipf))
            for size in NEAR_BYTES:
                near = {"NEAR_BYTES": str(size), "NEAR_TTL_S": "3600"}
                yield "curve", f"{shape}, {size >> 20} MiB near", shaped, STORES[store](near)
    if rows == max(asked.rows) and store != "embedded":
        for rung in RUNGS:
            if rung.figure == "ladder" and rung.name != "embedded":
                yield "layers", rung.name, load, rung.build


def measured(base: Base, load: Load, build: Build) -> dict[str, Any]:
    """Load a new service; return its figures, and the memory of all processes in MB."""
    with ExitStack() as running:
        stands = build(base, running)
        seen = open_loop(stands, base.ids(stands), load)
        memory_mb = {
            role: round(sum(each.resident_bytes() for each in servers) / 1e6, 1)
            for role, servers in stands.roles.items()
        }
    return {**{name: seen[name] for name in KEPT}, "memory_mb": memory_mb}


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure every case of every size of every store."""
    result: dict[str, Any] = {part: [] for part in asked.parts}
    for store, rows in ((store, rows) for store in asked.stores for rows in asked.rows):
        with ExitStack() as running, TemporaryDirectory(prefix="scale-") as folder:
            base = Base(running, Path(folder), rows)
            if store != "embedded":
                print("for the JVM to get warm", flush=True)
                writes = Behaviour(rate_s=asked.rate, write_share=WRITES)
                measured(base, Load(writes, WARM_S, JVM_S), on_stores(BARE, with_redis=False))
            for part, name, load, build in cases(asked, store, rows):
                if part in asked.parts:
                    print(f"{store}, {rows:,} rows, {name}", flush=True)
                    seen = measured(base, load, build)
                    result[part].append({"store": store, "rows": rows, "name": name, **seen})
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
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=400.0)
    asked = parser.parse_args()
    with interruptible():
        result = run(asked)
        lines = [line(seen) for part in asked.parts for seen in result[part]]
        result |= {"machine": machine(), "versions": versions(), "seconds": asked.seconds}
        path = RESULTS / "scale.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | result, indent=1) + "\n")
        print(f"\n{HEAD}{'|---' * 8}|\n" + "\n".join(lines))
        return 0
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main())
