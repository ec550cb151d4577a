"""Redis killed, frozen and slow: no read fails, writes are refused, and nobody restarts a thing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from bench.drills.traffic import reading, zipf
from bench.drills.world import World, said
from bench.lab.asking import Told, ask, ids_of, is_ready, seconds_until
from bench.lab.processes import Server
from bench.lab.proxy import Proxy
from bench.lab.targets import Service
from bench.load.loops import Schedule, offered, paced
from bench.load.result import Result
from config import Config

ROWS = 2_000
SETTINGS = {"NEAR_BYTES": "400000"}  # a fifth of them near, so that Redis and Cassandra serve, too
DELAY_S = 0.1  # each way


class Outage(NamedTuple):
    """What was done and seen. Its reads are judged when all of them have ended."""

    what: str
    since_s: float
    until_s: float
    degraded_s: float | None
    ready_s: float | None
    write: Told


def run(world: World) -> None:
    """Judge a kill, a freeze and a slowness of Redis."""
    rate_s, away_s = (150, 1.5) if world.is_short else (300, 5.0)
    redis = world.redis()
    service = world.service(world.cassandra, redis, **SETTINGS)
    ids = ids_of(service)
    reads = zipf([reading(each) for each in ids[:ROWS]])
    with offered(service.host, service.port, paced(reads, rate_s)) as result:
        time.sleep(away_s)
        outages = [
            _outage(service, ids[0], away_s, *how)
            for how in (
                ("Redis killed -9, restarted", redis.kill, redis.start),
                ("Redis stopped (SIGSTOP), continued", redis.pause, redis.resume),
            )
        ]
    usual = result.tally(until_s=outages[0].since_s)
    world.judge(
        "nothing yet", "near, Redis and store serve", str(usual), _serves_all(usual.details)
    )
    for outage in outages:
        _judge(world, outage, result)
    _slow(world, redis, paced(reads, rate_s), away_s)


def _slow(world: World, redis: Server, schedule: Schedule, away_s: float) -> None:
    """Judge a service of its own, which reaches Redis by a longer way."""
    proxy = world.running.enter_context(Proxy(redis.host, redis.port))
    slowed = world.service(
        world.cassandra, REDIS_HOST=proxy.host, REDIS_PORT=str(proxy.port), **SETTINGS
    )
    with offered(slowed.host, slowed.port, schedule) as result:
        time.sleep(away_s)
        since_s = time.monotonic()
        proxy.delay(DELAY_S, DELAY_S)
        time.sleep(away_s)
        proxy.open()
        again_s = time.monotonic()
        time.sleep(2 * away_s)
    what = f"Redis {2 * DELAY_S * 1000:.0f} ms away"
    _judge_reads(world, what, result, since_s, again_s + 1)
    hits = result.tally(since_s=again_s + 1).details["redis"]
    world.judge(what, "Redis is used again after it", f"{hits:,} hits", hits > 0)


def _serves_all(details: dict[str, int]) -> bool:
    return all(details.get(layer) for layer in ("near", "redis", "store"))


def _outage(
    service: Service,
    video_id: str,
    away_s: float,
    what: str,
    breaks: Callable[[], object],
    mends: Callable[[], object],
) -> Outage:
    since_s = time.monotonic()
    breaks()
    degraded_s = seconds_until(lambda: is_ready(service, "degraded"))
    write = ask(service, f"/content/{video_id}", "PATCH", {"duration": 1})
    time.sleep(away_s)
    mends()
    ready_s = seconds_until(lambda: is_ready(service, "ready"))
    time.sleep(away_s / 2)
    return Outage(what, since_s, time.monotonic(), degraded_s, ready_s, write)


def _judge(world: World, outage: Outage, result: Result) -> None:
    _judge_reads(world, outage.what, result, outage.since_s, outage.until_s)
    world.judge(
        outage.what,
        "/readyz: degraded, then ready, by itself",
        f"degraded {said(outage.degraded_s)}, ready {said(outage.ready_s)}",
        outage.degraded_s is not None and outage.ready_s is not None,
    )
    again = outage.write.headers.get("retry-after", "")
    world.judge(
        outage.what,
        "a write meanwhile: 503, Retry-After",
        f"{outage.write.status}, Retry-After: {again or 'none'}",
        outage.write.status == 503 and again.isdigit(),
    )


def _judge_reads(world: World, what: str, result: Result, since_s: float, until_s: float) -> None:
    deadline_s = Config().read_deadline_s
    tally = result.tally(since_s=since_s, until_s=until_s)
    holds = tally.total > 0 and not tally.failed and tally.percentile_s(99) <= deadline_s
    world.judge(what, f"no read fails, p99 within {deadline_s:g} s", str(tally), holds)
