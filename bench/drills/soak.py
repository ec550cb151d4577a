"""Everything at once, for minutes: no wrong answer, and the service stays as large as it was.

Memory and descriptors are counted between two rounds, because under load they are the clients'.
"""

import os
import random
import time
from collections import Counter
from typing import NamedTuple

from bench.drills.hostile import ATTACKS, hostile, told
from bench.drills.world import World, mixed, reading, warm, writes, zipf
from bench.lab.asking import ids_of, is_ready, seconds_until
from bench.lab.processes import Server
from bench.load.loops import offered, paced
from bench.load.result import Tally

FEWER = [each._replace(clients=max(1, each.clients // 5)) for each in ATTACKS]
WRITES, WRITTEN = 0.02, 300
STATUSES = {200, 503, 504}
"""Nothing is deleted, and no write is conditional: all else would be a lie."""
GROWTH_BYTES, DESCRIPTORS = 20_000_000, 20
"""From the state after the first tenth to the end. Connections to Redis and Cassandra, and what the
driver opens anew after an outage, come and go."""
WARM_SHARE = 0.1
QUIET_S, READY_S = 3.0, 120.0


class Size(NamedTuple):
    """Resident bytes and open descriptors."""

    resident: int
    descriptors: int

    def __str__(self) -> str:
        return f"{self.resident / 1e6:.0f} MB, {self.descriptors} descriptors"


def size_of(service: Server) -> Size:
    """Return the memory and the descriptors of a service."""
    return Size(service.resident_bytes(), len(os.listdir(f"/proc/{service.pid}/fd")))


def run(world: World) -> None:
    """Judge the answers, and the growth."""
    seconds = 40.0 if world.is_short else 60 * world.options.minutes
    rate_s, round_s = (100, 15.0) if world.is_short else (250, 45.0)
    redis = world.redis()
    service = world.service(world.cassandra, redis)
    ids = ids_of(service)
    rows = [reading(each) for each in ids]
    warm(service, rows)  # what the caches hold is no growth
    requests = mixed((1 - WRITES, zipf(rows)), (WRITES, writes(ids[:WRITTEN])))
    began_s, sizes, done = time.monotonic(), [size_of(service)], Counter[str]()
    reads, written = Tally(), Tally()
    warm_at = 1
    while time.monotonic() - began_s < seconds:
        with (
            offered(service.host, service.port, paced(requests, rate_s)) as result,
            hostile(service, done, FEWER),
        ):
            _break_stores(world, redis, round_s / 3, done)
        for line in result.lines():
            (written if line.kind == "write" else reads).add(line)
        assert seconds_until(lambda: is_ready(service, "ready"), READY_S) is not None
        time.sleep(QUIET_S)
        sizes.append(size_of(service))
        if time.monotonic() - began_s < WARM_SHARE * seconds:
            warm_at = len(sizes) - 1
    minutes = (time.monotonic() - began_s) / 60
    judge_answers(world, f"everything for {minutes:.1f} min ({told(done)})", reads, written)
    judge_sizes(world, sizes, warm_at)


def _break_stores(world: World, redis: Server, third_s: float, done: Counter[str]) -> None:
    """Break Redis and Cassandra, with some time after each."""
    time.sleep(third_s)
    redis.kill()
    time.sleep(random.uniform(0, third_s / 2))
    redis.start()
    done["kills of Redis"] += 1
    time.sleep(third_s / 2)
    random.choice((world.cassandra.kill, world.cassandra.stop))()
    world.cassandra.start()
    done["restarts of Cassandra"] += 1
    time.sleep(third_s)


def judge_answers(world: World, what: str, reads: Tally, writes: Tally) -> None:
    """Judge the answers."""
    for kind, tally in (("reads", reads), ("writes", writes)):
        world.judge(
            what,
            f"{kind}: the right row, whole, or one of {sorted(STATUSES)}; all are answered",
            str(tally),
            tally.statuses[200] > 0
            and not tally.wrong
            and not tally.errors
            and set(tally.statuses) <= STATUSES,
        )


def judge_sizes(world: World, sizes: list[Size], warm_at: int) -> None:
    """Judge the growth since the size at ``warm_at``."""
    warm, end = sizes[warm_at], sizes[-1]
    between = ", ".join(f"{each.resident / 1e6:.0f}" for each in sizes)
    seen = f"{sizes[0]} at first, {warm} after the first {WARM_SHARE:.0%}, {end} at the end"
    seen += f"; MB after each round: {between}"
    holds = end.resident - warm.resident <= GROWTH_BYTES
    holds = holds and end.descriptors - warm.descriptors <= DESCRIPTORS
    bar = f"it grows by at most {GROWTH_BYTES / 1e6:.0f} MB and {DESCRIPTORS} descriptors"
    # one round says nothing of growth
    world.judge(f"{len(sizes) - 1} rounds", bar, seen, holds if len(sizes) > warm_at + 1 else None)
