"""The memory of a process that fills a near cache, beside ``Near.bytes``."""

import itertools
import random
import time
import uuid
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from cache.entry import Entry
from cache.near import Near

HEAD = b"h" * 190  # about what lane.render_with makes
CHURN = 4


def in_fresh_process(limit_mib: int, low: int, high: int) -> dict[str, float]:
    """Measure in a fresh process: memory freed earlier would be filled first."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, limit_mib << 20, (low, high)).result()


def measure(limit_bytes: int, body_bytes: tuple[int, int]) -> dict[str, float]:
    """Growth of the resident memory when the cache is first full, and after as many entries again
    have come and gone four times. The peak includes the moments in which a dict's old and new table
    exist side by side."""
    rng = random.Random(7)
    near = Near(limit_bytes, 3600.0, render=lambda entry: HEAD + b"%d" % len(entry.body))
    before = _status("VmRSS")
    while not near.evictions:
        _put(near, rng, body_bytes)
    full = _status("VmRSS") - before
    for _ in itertools.repeat(None, CHURN * len(near)):
        _put(near, rng, body_bytes)
    churned = _status("VmRSS") - before
    return {
        "full_over_counted": full / near.bytes,
        "churned_over_counted": churned / near.bytes,
        "churned_over_limit": churned / limit_bytes,
        "peak_over_limit": (_status("VmHWM") - before) / limit_bytes,
    }


def _put(near: Near, rng: random.Random, body_bytes: tuple[int, int]) -> None:
    """Put one more row, with a body, tag, key and head of its own, as a miss makes them."""
    key = f"/content/{uuid.UUID(int=rng.getrandbits(128))}"
    tag = b'"%032x-1"' % rng.getrandbits(128)
    body, ttl_s = bytes(rng.randint(*body_bytes)), rng.uniform(3600, 7200)
    near.put(key, Entry(body, tag, time.time(), ttl_s))


def _status(name: str) -> int:
    """Return a figure of this process, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) * 1024
