"""Redis killed, frozen and slow: no read fails, writes are refused, and nobody restarts a thing."""

import time

from bench.drills.world import World, judge_state, reading, suffer, zipf
from bench.lab.asking import Told, ask, ids_of
from bench.lab.processes import Server
from bench.lab.proxy import Proxy
from bench.load.loops import Schedule, offered, paced
from bench.load.result import Tally
from config import Config

ROWS = 2_000
SETTINGS = {"NEAR_BYTES": "400000"}  # a fifth of them near, so that Redis and Cassandra serve, too
DELAY_S = 0.1  # each way


def run(world: World) -> None:
    """Judge a kill, a freeze and a slowness of Redis."""
    rate_s, away_s = (150, 1.5) if world.is_short else (300, 5.0)
    redis = world.redis()
    service = world.service(world.cassandra, redis, **SETTINGS)
    ids = ids_of(service)
    reads = zipf([reading(each) for each in ids[:ROWS]])
    writes: list[Told] = []

    def write() -> None:
        writes.append(ask(service, f"/content/{ids[0]}", "PATCH", {"duration": 1}))
        time.sleep(away_s)

    with offered(service.host, service.port, paced(reads, rate_s)) as result:
        time.sleep(away_s)
        outages = [
            suffer(service, what, breaks, mends, write, away_s / 2)
            for what, breaks, mends in (
                ("Redis killed -9, restarted", redis.kill, redis.start),
                ("Redis stopped (SIGSTOP), continued", redis.pause, redis.resume),
            )
        ]
    usual = result.tally(until_s=outages[0].since_s)
    serve = all(usual.details[layer] for layer in ("near", "redis", "store"))
    world.judge("nothing yet", "near, Redis and store serve", str(usual), serve)
    for outage, told in zip(outages, writes, strict=True):
        _judge_reads(world, outage.what, result.tally(None, outage.since_s, outage.until_s))
        judge_state(world, outage)
        _judge_write(world, outage.what, told)
    _slow(world, redis, paced(reads, rate_s), away_s)


def _slow(world: World, redis: Server, schedule: Schedule, away_s: float) -> None:
    """Judge a service of its own, which reaches Redis by a longer way."""
    proxy = world.running.enter_context(Proxy(redis.host, redis.port))
    slowed = world.service(world.cassandra, proxy, **SETTINGS)
    with offered(slowed.host, slowed.port, schedule) as result:
        time.sleep(away_s)
        since_s = time.monotonic()
        proxy.delay(DELAY_S, DELAY_S)
        time.sleep(away_s)
        proxy.open()
        again_s = time.monotonic()
        time.sleep(2 * away_s)
    what = f"Redis {2 * DELAY_S * 1000:.0f} ms away"
    _judge_reads(world, what, result.tally(None, since_s, again_s + 1))
    hits = result.tally(since_s=again_s + 1).details["redis"]
    world.judge(what, "Redis is used again after it", f"{hits:,} hits", hits > 0)


def _judge_write(world: World, what: str, told: Told) -> None:
    again = told.headers.get("retry-after", "")
    seen = f"{told.status}, Retry-After: {again or 'none'}"
    holds = told.status == 503 and again.isdigit()
    world.judge(what, "a write meanwhile: 503, Retry-After", seen, holds)


def _judge_reads(world: World, what: str, tally: Tally) -> None:
    deadline_s = Config().read_deadline_s
    holds = tally.is_clean and tally.percentile_s(99) <= deadline_s
    world.judge(what, f"no read fails, p99 within {deadline_s:g} s", str(tally), holds)
