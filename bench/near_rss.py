"""Is ``Near.bytes`` what the process grows by? Fills a near cache in fresh processes and compares.

    python -m bench.near_rss

Each line is one process: growth of its resident memory when the cache is first full, and after as
many entries again have come and gone four times, over ``Near.bytes`` and over the limit. The peak
includes the moments in which a dict's old and new table exist side by side.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

from cache.entry import Entry
from cache.near import Near

MIB = 1 << 20
HEAD = b"h" * 190  # about what lane.render_with makes
CHURN = 4


def resident_bytes() -> int:
    """Return the memory that this process has."""
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Return the most memory that this process ever had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def put(near: Near, rng: random.Random, body_bytes: tuple[int, int]) -> None:
    """Put one more row, with a body, tag, key and head of its own, as a miss makes them."""
    key = f"/content/{uuid.UUID(int=rng.getrandbits(128))}"
    tag = b'"%032x-1"' % rng.getrandbits(128)
    body, ttl_s = bytes(rng.randint(*body_bytes)), rng.uniform(3600, 7200)
    near.put(key, Entry(body, tag, time.time(), ttl_s), "/content/{id}")


def measure(limit_bytes: int, body_bytes: tuple[int, int]) -> dict[str, float]:
    """Measure in this process, which must be fresh: memory freed earlier would be filled first."""
    rng = random.Random(7)
    near = Near(limit_bytes, 3600.0, render=lambda entry: HEAD + b"%d" % len(entry.body))
    before = resident_bytes()
    while not near.evictions:
        put(near, rng, body_bytes)
    full = resident_bytes() - before
    for _ in itertools.repeat(None, CHURN * len(near)):
        put(near, rng, body_bytes)
    churned = resident_bytes() - before
    counted, limit = near.bytes, limit_bytes
    ratios = {
        "counted_over_limit": counted / limit,
        "full_over_counted": full / counted,
        "full_over_limit": full / limit,
        "churned_over_counted": churned / counted,
        "churned_over_limit": churned / limit,
        "peak_over_limit": (peak_bytes() - before) / limit,
    }
    return {"entries": len(near)} | {name: round(ratio, 3) for name, ratio in ratios.items()}


def in_fresh_process(limit_mib: int, low: int, high: int) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "bench.near_rss", "--one", *map(str, (limit_mib, low, high))]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, type=int, metavar=("MIB", "LOW", "HIGH"))
    one = parser.parse_args().one
    if one:
        print(json.dumps(measure(one[0] * MIB, (one[1], one[2]))))
        return
    for number, (mib, (low, high)) in enumerate(
        itertools.product((16, 64, 256), ((540, 656), (2000, 2000), (400, 3000)))
    ):
        line = in_fresh_process(mib, low, high)
        if not number:
            print("  MiB     bodies  " + "  ".join(line))
        values = "  ".join(f"{value:>{len(name)}.6g}" for name, value in line.items())
        print(f"{mib:>5} {low:>5}-{high:<5} {values}")


if __name__ == "__main__":
    main()
