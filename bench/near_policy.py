"""Which eviction policy the near cache should have: hit rates of users while a crawler walks by.

    python -m bench.near_policy [--requests 800000]

Users ask by Zipf's law, rank over keys in random order; the crawler asks for every key in turn,
either between users' requests (a share of all) or in bursts of 20,000 (three in ten of all). Only
what users find counts, after the first third of the trace. Time is counted in requests: a TTL of
25,000 is 5 s at 5,000 requests/s. Capacity is in entries, all of one size; ``S3 -7%`` is S3-FIFO
with that much less of it, what its ghosts cost (about 100 bytes each beside entries of 1,400).
``near`` is ``cache/near.py`` itself. Seeded: a table is the same on every machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
from array import array
from collections import OrderedDict
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple, Protocol

from cache.entry import Entry
from cache.near import Near

BURST = 20_000


class Policy(Protocol):
    def ask(self, key: int, now: int) -> bool:
        """Whether the key is there; when it is not, it is put, and others make room."""

    def remove(self, key: int) -> None: ...


class Lru:
    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[int, None] = OrderedDict()

    def ask(self, key: int, now: int) -> bool:
        if key in self._keys:
            self._keys.move_to_end(key)
            return True
        if len(self._keys) >= self._capacity:
            self._keys.popitem(last=False)
        self._keys[key] = None
        return False

    def remove(self, key: int) -> None:
        self._keys.pop(key, None)


class Fifo(Lru):
    def ask(self, key: int, now: int) -> bool:
        return key in self._keys or super().ask(key, now)


class Sieve:
    """SIEVE as two queues: what the hand has yet to pass, and what it has passed and let stand.
    Once the first is empty the hand is at the end, and begins again at the oldest."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._ahead: OrderedDict[int, bool] = OrderedDict()
        self._passed: OrderedDict[int, bool] = OrderedDict()

    def ask(self, key: int, now: int) -> bool:
        for queue in (self._ahead, self._passed):
            if key in queue:
                queue[key] = True
                return True
        if len(self._ahead) + len(self._passed) >= self._capacity:
            self._evict()
        self._ahead[key] = False
        return False

    def _evict(self) -> None:
        visited = True
        while visited:
            key, visited = self._ahead.popitem(last=False)
            if visited:
                self._passed[key] = False
            self._wrap()

    def _wrap(self) -> None:
        if not self._ahead:
            self._ahead, self._passed = self._passed, self._ahead

    def remove(self, key: int) -> None:
        self._ahead.pop(key, None)
        self._passed.pop(key, None)
        self._wrap()


class S3Fifo:
    """S3-FIFO (Yang et al., SOSP '23): a small queue on trial (a tenth), the main one, and the
    names of as many as the main one holds that failed the trial."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._small_capacity = max(1, capacity // 10)
        self._main_capacity = capacity - self._small_capacity
        self._small: OrderedDict[int, int] = OrderedDict()
        self._main: OrderedDict[int, int] = OrderedDict()
        self._ghosts: OrderedDict[int, None] = OrderedDict()

    def ask(self, key: int, now: int) -> bool:
        for queue in (self._small, self._main):
            if key in queue:
                queue[key] = min(3, queue[key] + 1)
                return True
        while len(self._small) + len(self._main) >= self._capacity:
            self._evict()
        if key in self._ghosts:
            del self._ghosts[key]
            self._main[key] = 0
        else:
            self._small[key] = 0
        return False

    def _evict(self) -> None:
        if len(self._small) < self._small_capacity and self._main:
            key, hits = self._main.popitem(last=False)
            if hits:
                self._main[key] = hits - 1
            return
        key, hits = self._small.popitem(last=False)
        if hits > 1:
            self._main[key] = 0
            return
        self._ghosts[key] = None
        if len(self._ghosts) > self._main_capacity:
            self._ghosts.popitem(last=False)

    def remove(self, key: int) -> None:
        self._small.pop(key, None)
        self._main.pop(key, None)


class ThisNear:
    """The near cache with entries of one size, and the TTL and the time of the trace."""

    def __init__(self, capacity: int, ttl: float) -> None:
        self._now = 0
        self._entry = Entry(b"", b'"tag"', 0.0)
        one = Near(1 << 20, 1.0).put(self._name(0), self._entry, "")
        assert one is not None
        self._near = Near(
            capacity * one.cost_bytes, ttl, clock=lambda: self._now, jitter=lambda: 0.0
        )

    @staticmethod
    def _name(key: int) -> str:
        return f"{key:08}"

    def ask(self, key: int, now: int) -> bool:
        self._now = now
        name = self._name(key)
        if self._near.get(name):
            return True
        self._near.put(name, self._entry, "")
        return False

    def remove(self, key: int) -> None:
        self._near.remove(self._name(key))


class Setting(NamedTuple):
    keys: int
    skew: float
    crawl: str
    size: float
    ttl: float

    def words(self) -> str:
        return (
            f"{self.keys:>9,} {self.skew:>4} {self.crawl:>7} {self.size:>6.0%} "
            f"{'none' if self.ttl == float('inf') else f'{self.ttl:,.0f}':>7}"
        )


def trace(setting: Setting, requests: int) -> tuple[array[int], bytearray]:
    """The key of each request, and 1 for each that is the crawler's."""
    rng = random.Random(f"{setting.keys} {setting.skew}")
    keys = list(range(setting.keys))
    rng.shuffle(keys)
    weights = itertools.accumulate(rank**-setting.skew for rank in range(1, setting.keys + 1))
    users = rng.choices(keys, cum_weights=list(weights), k=requests)
    crawled = bytearray(requests)
    if setting.crawl == "bursts":
        for start in range(0, requests, BURST * 10 // 3):
            crawled[start : start + BURST] = b"\1" * len(crawled[start : start + BURST])
    else:
        share = float(setting.crawl.strip("%")) / 100
        crawled = bytearray(rng.random() < share for _ in range(requests))
    walk = itertools.cycle(range(setting.keys))
    asked = (next(walk) if crawl else user for crawl, user in zip(crawled, users, strict=True))
    return array("l", asked), crawled


def hit_rate(policy: Policy, asked: array[int], crawled: bytearray, ttl: float) -> float:
    """Of users, after the first third."""
    filled: dict[int, int] = {}
    hits = users = 0
    warm = len(asked) // 3
    for now, (key, crawl) in enumerate(zip(asked, crawled, strict=True)):
        if now - filled.get(key, now) >= ttl:
            policy.remove(key)
        hit = policy.ask(key, now)
        if not hit:
            filled[key] = now
        if now >= warm and not crawl:
            users += 1
            hits += hit
    return hits / users


def line(setting: Setting, requests: int) -> str:
    asked, crawled = trace(setting, requests)
    capacity = int(setting.keys * setting.size)
    policies: list[Policy] = [Lru(capacity), Fifo(capacity), Sieve(capacity), S3Fifo(capacity)]
    policies += [S3Fifo(capacity * 93 // 100), ThisNear(capacity, setting.ttl)]
    rates = [hit_rate(policy, asked, crawled, setting.ttl) for policy in policies]
    return setting.words() + "".join(f"{rate:>9.1%}" for rate in rates)


def settings() -> list[Setting]:
    crawls, endless = ("0%", "10%", "30%", "bursts"), float("inf")
    grid = itertools.product((100_000, 1_000_000), (0.8, 1.0, 1.2), crawls, (0.01, 0.05, 0.1))
    brief = itertools.product((100_000,), (0.8, 1.0, 1.2), crawls, (0.01, 0.05))
    return [Setting(*each, endless) for each in grid] + [Setting(*each, 25_000.0) for each in brief]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=800_000)
    requests = parser.parse_args().requests
    names = "".join(f"{name:>9}" for name in ("LRU", "FIFO", "SIEVE", "S3-FIFO", "S3 -7%", "near"))
    print(f"{'keys':>9} {'skew':>4} {'crawler':>7} {'size':>6} {'TTL':>7}{names}")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = settings()
        for text in pool.map(line, rows, itertools.repeat(requests, len(rows))):
            print(text, flush=True)


if __name__ == "__main__":
    main()
