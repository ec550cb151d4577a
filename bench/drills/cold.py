"""The cache is emptied under full load: one read of the store for a key, and nobody notices."""

import time

from bench.drills.world import World, reading, warm, zipf
from bench.lab.asking import counted, ids_of
from bench.lab.processes import Server, exchange
from bench.load.loops import offered, paced
from bench.load.result import Result

DEADLINE_S = 1.0
BACK_S, LEVEL = 10.0, 0.9
READS_OF_A_KEY = 1.1  # a reply of Redis that comes too late is one more read of the store


def store_reads(service: Server) -> float:
    """Return the reads of the store so far, by the service's own count."""
    return counted(service, r'content_request_seconds_count\{.*layer="store".*\}')


def run(world: World) -> None:
    """Judge the time after Redis was emptied."""
    rate_s, keys, before_s, after_s = (300, 400, 3, 5) if world.is_short else (1500, 2000, 6, 14)
    redis = world.redis()
    service = world.service(world.cassandra, redis, **world.patience)
    rows = [reading(each) for each in ids_of(service)[:keys]]
    warm(service, rows)
    # evenly: it is the level that is judged, and not the luck of a second
    schedule = paced(zipf(rows), rate_s, poisson=False)
    with offered(service.host, service.port, schedule) as result:
        time.sleep(before_s)
        before, flushed_s = store_reads(service), time.monotonic()
        exchange(redis.host, redis.port, b"FLUSHALL\r\n")
        time.sleep(after_s)
    judge_cold(world, result, store_reads(service) - before, keys, flushed_s)


def judge_cold(world: World, result: Result, reads: float, keys: int, flushed_s: float) -> None:
    """Judge the answers, the reads of the store, and the goodput."""
    what = "Redis emptied (FLUSHALL)"
    tally = result.tally()
    world.judge(what, "no read fails", str(tally), tally.is_clean)
    world.judge(
        what,
        f"at most {READS_OF_A_KEY:g} reads of the store for a key",
        f"{reads:,.0f} reads, {keys:,} keys",
        0 < reads <= READS_OF_A_KEY * keys,
    )
    goodput, emptied = result.goodput(None, DEADLINE_S), int(flushed_s - result.began_s)
    before = [goodput[second] for second in range(1, emptied)]
    after = [goodput[second] for second in range(emptied, max(goodput))]
    level = sum(before) / len(before)
    low = [at for at, good in enumerate(after) if good < LEVEL * level]
    back_s = max(low, default=-1) + 1
    world.judge(
        what,
        f"goodput at {LEVEL:.0%} of its level again within {BACK_S:.0f} s",
        f"{level:,.0f}/s before, at least {min(after):,}/s after, back after {back_s} s",
        back_s < min(BACK_S, len(after)),
    )
