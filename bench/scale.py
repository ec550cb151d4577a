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
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.lab.asking import ids_of
from bench.lab.processes import Server, interruptible
from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.targets import Service, catalogue
from bench.ladder.__main__ import RESULTS, WRITES
from bench.ladder.machine import machine, versions
from bench.ladder.measure import Load, open_loop
from bench.ladder.rungs import BARE, NEAR, Standing

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
KEPT = ("rate_s", "requests", "failed", "wrong", "late", "cpu_us", "layers", "latency_ms")


class Site:
    """A store with a catalogue and, before Cassandra, a Redis."""

    def __init__(self, store: str, rows: int, folder: Path, running: ExitStack) -> None:
        self.store, self.rows = store, rows
        self._ids = folder / f"ids-{store}-{rows}"
        self._stores: dict[str, list[Server]] = {}
        self._settings = {"EMBEDDED_PATH": str(folder / f"{rows}.sqlite3")}
        if store != "embedded":
            cassandra = running.enter_context(CassandraNode())
            redis = running.enter_context(RedisServer())
            self._stores = {"cassandra": [cassandra], "redis": [redis]}
            self._settings = dict(settings_of(cassandra, redis))
        catalogue(self._settings, "generate", str(rows))

    def seen(
        self, load: Load, more: Mapping[str, str], label: str, *, without_redis: bool = False
    ) -> dict[str, Any]:
        """Load a new service; return its figures, and the memory of all processes in MB."""
        settings = {**self._settings, **more}
        if without_redis:  # unset, as an empty one is refused
            settings = {name: each for name, each in settings.items() if name[:5] != "REDIS"}
        with Service(settings) as service:
            if not self._ids.exists():
                self._ids.write_text("\n".join(ids_of(service)) + "\n")
            stands = Standing(service, {"service": [service], **self._stores})
            seen = open_loop(stands, self._ids, load, label)
            memory = {
                role: round(sum(each.resident_bytes() for each in servers) / 1e6, 1)
                for role, servers in stands.roles.items()
            }
        kept = {name: seen[name] for name in KEPT}
        return {"store": self.store, "rows": self.rows, **kept, "memory_mb": memory}


def sizes(site: Site, load: Load) -> Iterator[dict[str, Any]]:
    """Yield the site's figures under each shape."""
    for shape, zipf in SHAPES.items():
        seen = site.seen(load._replace(zipf=zipf), {}, f"{site.store} {site.rows:,} {shape}")
        yield {"shape": shape, **seen}


def curve(site: Site, load: Load) -> Iterator[dict[str, Any]]:
    """Yield the site's figures by the size of the near cache."""
    load = load._replace(rate_s=load.rate_s * 10, warm_s=CURVE_WARM_S)
    for shape, zipf in SHAPES.items():
        for near_bytes in NEAR_BYTES:
            more = {"NEAR_BYTES": str(near_bytes), "NEAR_TTL_S": "3600"}
            label = f"{near_bytes >> 20} MiB near, {shape}"
            seen = site.seen(load._replace(zipf=zipf), more, label)
            yield {"shape": shape, "near_bytes": near_bytes, **seen}


def layers(site: Site, load: Load) -> Iterator[dict[str, Any]]:
    """Yield the site's figures by the layers before the store."""
    for name, settings in LAYERS.items():
        yield {
            "layer": name,
            **site.seen(load, settings, name, without_redis=name == "Cassandra"),
        }


def table(result: Mapping[str, Any]) -> str:
    """Return all figures in Markdown."""
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


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure every size of every store; the curve and the layers at the largest size."""
    load, largest = Load(asked.rate, WARM_S, asked.seconds), max(asked.rows)
    result: dict[str, Any] = {part: [] for part in asked.parts}
    for store, rows in ((store, rows) for store in asked.stores for rows in asked.rows):
        is_embedded, is_first = store == "embedded", store == asked.stores[0]
        with ExitStack() as running:
            site = Site(store, rows, folder, running)
            if not is_embedded:
                writes = load._replace(seconds=JVM_S, write_share=WRITES)
                site.seen(writes, BARE, "for the JVM to get warm", without_redis=True)
            if "sizes" in asked.parts:
                result["sizes"] += sizes(site, load)
            if rows == largest and is_first and "curve" in asked.parts:
                result["curve"] += curve(site, load)
            if rows == largest and not is_embedded and "layers" in asked.parts:
                result["layers"] += layers(site, load)
    return result


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
