"""The cache is emptied under full load: the store is asked once for a key, and nobody notices."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Iterator

from bench.drills.traffic import reading, warm, zipf
from bench.drills.world import World
from bench.lab.asking import ask, ids_of
from bench.lab.processes import Server, exchange
from bench.load.loops import offered, paced
from bench.load.result import Result
from bench.load.wire import Request

DEADLINE_S = 1.0
BACK_S, LEVEL = 10.0, 0.9
WINDOW_S = 1.0
LEAD_S = 0.2
"""A request that was due so long before a window may have asked the store within it."""
SPARE, AT_ONCE = 3, 50
"""Keys that nobody else asks for, and readers that want one of them in the same moment."""
BURST_S = 0.5
STORE_READS = re.compile(r'^content_request_seconds_count\{.*layer="store".*\} ([\d.e+]+)$', re.M)


def store_reads(service: Server) -> int:
    """Return the reads of the store so far, by the service's own count."""
    return round(sum(map(float, STORE_READS.findall(ask(service, "/metrics").body.decode()))))


class Asked:
    """Passes requests on, and remembers which row was asked for when."""

    def __init__(self, requests: Iterable[Request]) -> None:
        self._requests = requests
        self._asked: list[tuple[float, str]] = []

    def __iter__(self) -> Iterator[Request]:
        for request in self._requests:
            yield request
            self._asked.append((time.monotonic(), request.path))  # it has just left

    def distinct(self, since_s: float, until_s: float) -> int:
        """Return the number of rows that were asked for between two moments."""
        return len({path for at_s, path in self._asked if since_s <= at_s <= until_s})


def run(world: World) -> None:
    """Judge the time after Redis was emptied."""
    rate_s, keys, before_s, after_s = (300, 400, 3, 5) if world.is_short else (1500, 2000, 6, 14)
    redis = world.redis()
    service = world.service(world.cassandra, redis, **world.patience)
    rows = ids_of(service)[: keys + SPARE]
    warm(service, (reading(each) for each in rows))
    asked = Asked(zipf([reading(each) for each in rows[SPARE:]]))
    # evenly: it is the level that is judged, and not the luck of a second
    schedule = paced(asked, rate_s, poisson=False)
    with offered(service.host, service.port, schedule) as result:
        time.sleep(before_s)
        burst = _burst(rows[:SPARE], rows[-1])
        with offered(service.host, service.port, burst, connections=SPARE * AT_ONCE) as bursts:
            time.sleep(BURST_S / 2)
            counted, flushed_s = store_reads(service), time.monotonic()
            exchange(redis.host, redis.port, b"FLUSHALL\r\n")
            windows = [_window(service, asked, counted)]
            for _ in range(1, int(after_s / WINDOW_S)):
                windows.append(_window(service, asked, sum(n for n, _ in windows) + counted))
    _judge(world, result, bursts, windows, flushed_s)


def _burst(spare: list[str], other: str) -> Iterator[tuple[float, Request]]:
    """First its connections are opened, or it would not be one."""
    for _ in range(SPARE * AT_ONCE):
        yield 0.0, reading(other, "opening")
    for number, _ in itertools.product(range(SPARE), range(AT_ONCE)):
        yield BURST_S, reading(spare[number], f"burst {number}")


def _window(service: Server, asked: Asked, counted: int) -> tuple[int, int]:
    """Return the reads of the store within a window, and the keys that they can have been of."""
    began_s = time.monotonic()
    time.sleep(WINDOW_S)
    reads = store_reads(service) - counted
    return reads, asked.distinct(began_s - LEAD_S, time.monotonic()) + SPARE


def _judge(
    world: World, result: Result, bursts: Result, windows: list[tuple[int, int]], flushed_s: float
) -> None:
    what = "Redis emptied (FLUSHALL)"
    tally = result.tally()
    world.judge(what, "no read fails", str(tally), tally.total > 0 and not tally.failed)
    most, keys = max(windows, key=lambda window: window[0] / max(window[1], 1))
    reads = sum(window[0] for window in windows)
    world.judge(
        what,
        f"in no window of {WINDOW_S:g} s more reads of the store than keys asked for",
        f"{reads:,} reads in {len(windows)} windows; at most {most:,} of {keys:,} keys",
        reads > 0 and all(reads <= keys for reads, keys in windows),
    )
    tallies = [bursts.tally(f"burst {number}") for number in range(SPARE)]
    world.judge(
        what,
        f"{AT_ONCE} readers of one key at once: one read of the store",
        "; ".join(f"{each.details['store']} of {each.total}" for each in tallies),
        all(each.details["store"] == 1 and not each.failed for each in tallies),
    )
    _judge_goodput(world, what, result, flushed_s - result.began_s)


def _judge_goodput(world: World, what: str, result: Result, flushed_s: float) -> None:
    goodput = result.goodput(None, DEADLINE_S)
    before = [goodput[second] for second in range(1, int(flushed_s))]
    after = [goodput[second] for second in range(int(flushed_s), max(goodput))]
    level = sum(before) / len(before)
    low = [at for at, good in enumerate(after) if good < LEVEL * level]
    back_s = max(low, default=-1) + 1
    world.judge(
        what,
        f"goodput at {LEVEL:.0%} of its level again within {BACK_S:.0f} s",
        f"{level:,.0f}/s before, at least {min(after):,}/s after, back after {back_s} s",
        back_s < min(BACK_S, len(after)),
    )
