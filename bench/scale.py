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
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.drills.hostile import resident_bytes
from bench.lab.processes import Server, interruptible
from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.spawn import ServerError, spawn
from bench.lab.targets import ROOT, Service
from bench.ladder.__main__ import RESULTS, WRITES
from bench.ladder.ids import write_ids
from bench.ladder.machine import machine, versions
from bench.ladder.measure import Load, open_loop
from bench.ladder.rungs import BARE, CORES, NEAR, Standing

SHAPES = {"Zipf 0.9": 0.9, "uniform": 0.0}
NEAR_BYTES = (1 << 20, 4 << 20, 16 << 20, 64 << 20)
LAYERS: dict[str, Mapping[str, str]] = {
    "Cassandra": BARE,
    "+ Redis": BARE,
    "+ near cache": NEAR,
    "+ fast lane": {},
}
PARTS = ("sizes", "curve", "layers")
CURVE_WARM_S = 20.0  # some 70,000 rows asked for
JVM_S = 60.0  # then it has compiled what it runs
WARM_S = 8.0  # NEAR_TTL_S is 5: from then on as much is forgotten as is filled


def generate(settings: Mapping[str, str], rows: int) -> float:
    """Puts so many rows there; the seconds it took."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "db.catalog", "generate", str(rows)]
    loader = spawn(command, {**os.environ, **settings}, folder=ROOT)
    if status := loader.wait():
        raise ServerError(f"the catalogue could not be generated: status {status}")
    return time.monotonic() - began_s


class Site:
    """A store with a catalogue and, before Cassandra, a Redis."""

    def __init__(self, store: str, rows: int, folder: Path, running: ExitStack) -> None:
        self.store, self.rows = store, rows
        self._ids = folder / f"ids-{store}-{rows}"
        self.servers: dict[str, list[Server]] = {}
        if store == "embedded":
            self._settings = {"EMBEDDED_PATH": str(folder / f"{rows}.sqlite3")}
        else:
            cassandra = running.enter_context(CassandraNode())
            redis = running.enter_context(RedisServer())
            self.servers = {"cassandra": [cassandra], "redis": [redis]}
            self._settings = dict(settings_of(cassandra, redis))
        self.load_s = generate(self._settings, rows)

    def seen(
        self, load: Load, more: Mapping[str, str], label: str, *, without_redis: bool = False
    ) -> dict[str, Any]:
        """A new service under that load: its figures, and the memory of all processes."""
        settings = {**self._settings, **more, "DRAIN_S": "0"}
        if without_redis:  # unset, as an empty one is refused
            settings = {name: each for name, each in settings.items() if name[:5] != "REDIS"}
        with Service("service", CORES, settings) as service:
            if not self._ids.exists():
                write_ids(service.url, self._ids)
            stands = Standing(service, {"service": [service], **self.servers})
            seen = open_loop(stands, self._ids, load, label)
            memory = {
                role: sum(resident_bytes(each) for each in servers) / 1e6
                for role, servers in stands.roles.items()
            }
        return {
            "store": self.store,
            "rows": self.rows,
            **{name: seen[name] for name in ("rate_s", "requests", "failed", "wrong", "late")},
            **{name: seen[name] for name in ("cpu_us", "layers", "latency_ms")},
            "memory_mb": {role: round(each, 1) for role, each in memory.items()},
        }


def sizes(site: Site, load: Load) -> list[dict[str, Any]]:
    """The site's size under each shape."""
    found = []
    for shape, zipf in SHAPES.items():
        seen = site.seen(load._replace(zipf=zipf), {}, f"{site.store} {site.rows:,} {shape}")
        found.append({"shape": shape, "load_s": site.load_s, **seen})
    return found


def curve(site: Site, load: Load) -> list[dict[str, Any]]:
    """By the size of the near cache."""
    found = []
    load = load._replace(rate_s=load.rate_s * 10, warm_s=CURVE_WARM_S)
    for shape, zipf in SHAPES.items():
        for near_bytes in NEAR_BYTES:
            more = {"NEAR_BYTES": str(near_bytes), "NEAR_TTL_S": "3600"}
            label = f"{near_bytes >> 20} MiB near, {shape}"
            seen = site.seen(load._replace(zipf=zipf), more, label)
            found.append({"shape": shape, "near_bytes": near_bytes, **seen})
    return found


def layers(site: Site, load: Load) -> list[dict[str, Any]]:
    """By what is before the store."""
    found = []
    for name, settings in LAYERS.items():
        seen = site.seen(load, settings, name, without_redis=name == "Cassandra")
        found.append({"layer": name, **seen})
    return found


def table(result: Mapping[str, Any]) -> str:
    """All of it in Markdown."""
    lines = ["| store | rows | shape | CPU us/request | MB | near | store |", "|---" * 7 + "|"]
    for each in result.get("sizes", ()):
        cpu, memory = sum(each["cpu_us"].values()), each["memory_mb"]["service"]
        shares = " | ".join(f"{each['layers'].get(name, 0):.0%}" for name in ("near", "store"))
        lines.append(
            f"| {each['store']} | {each['rows']:,} | {each['shape']} | {cpu:,.0f} | {memory:,.0f} "
            f"| {shares} |"
        )
    lines += ["", "| near cache | shape | rows from it |", "|---|---|---|"]
    for each in result.get("curve", ()):
        share = f"{each['layers'].get('near', 0):.0%}"
        lines.append(f"| {each['near_bytes'] >> 20} MiB | {each['shape']} | {share} |")
    lines += ["", "| layers | rows from the store | CPU us/request in Cassandra |", "|---|---|---|"]
    for each in result.get("layers", ()):
        share, cpu = each["layers"].get("store", 0), each["cpu_us"].get("cassandra", 0)
        lines.append(f"| {each['layer']} | {share:.1%} | {cpu:,.0f} |")
    return "\n".join(lines)


def run(
    stores: Sequence[str], rows: Sequence[int], parts: Sequence[str], load: Load, folder: Path
) -> dict[str, Any]:
    """Every size of every store; the curve and the layers at the largest."""
    result: dict[str, Any] = {part: [] for part in parts}
    for store in stores:
        for count in rows:
            with ExitStack() as running:
                site = Site(store, count, folder, running)
                if store != "embedded":
                    writes = load._replace(seconds=JVM_S, write_share=WRITES)
                    site.seen(writes, BARE, "for the JVM to get warm", without_redis=True)
                if "sizes" in parts:
                    result["sizes"] += sizes(site, load)
                if count == max(rows) and store == stores[0] and "curve" in parts:
                    result["curve"] = curve(site, load)
                if count == max(rows) and store != "embedded" and "layers" in parts:
                    result["layers"] = layers(site, load)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 50_000, 500_000])
    parser.add_argument("--stores", nargs="+", default=["embedded", "Cassandra"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=400.0)
    parser.add_argument("--results", type=Path, default=RESULTS / "scale.json")
    asked = parser.parse_args(arguments)
    load = Load(asked.rate, WARM_S, asked.seconds)
    with interruptible(), TemporaryDirectory(prefix="scale-") as folder:
        result = run(asked.stores, asked.rows, asked.parts, load, Path(folder))
        result |= {"machine": machine(), "versions": versions(), "seconds": asked.seconds}
        if asked.results.exists() and set(asked.parts) != set(PARTS):
            result = json.loads(asked.results.read_text()) | result
        asked.results.parent.mkdir(parents=True, exist_ok=True)
        asked.results.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\n{table(result)}")
        return 0
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main())
