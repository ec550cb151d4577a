"""The promise itself, under load: what was acknowledged is never undone by a read or a fill."""

import asyncio
import random
import time

import pytest

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.rows import RedisRows
from cache.redis.scripts import Lease
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import command, entry, fill

SECONDS, ENOUGH = 1.5, 20
KEYS = [f"/content/{number}" for number in range(4)]


class Race:
    """Rows that are numbers which only grow, in a store that is slow to say what it has read."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.stored = dict.fromkeys(KEYS, 0)
        self.acknowledged = dict.fromkeys(KEYS, 0)
        self.hits = self.fills = self.refused_fills = self.writes = 0
        self.ends_at = time.monotonic() + SECONDS

    def goes_on(self) -> bool:
        return time.monotonic() < self.ends_at or self.least() <= ENOUGH

    def least(self) -> int:
        """How often the rarest of all that has to be seen was seen."""
        return min(self.hits, self.fills, self.refused_fills, self.writes)

    async def pause(self) -> None:
        await asyncio.sleep(self.random.uniform(0, 0.003))

    async def read(self, rows: RedisRows) -> None:
        while self.goes_on():
            key = self.random.choice(KEYS)
            floor = self.acknowledged[key]
            found: Entry | Lease | None = await rows.get(key) or await rows.lease(key)
            if isinstance(found, Entry):
                assert int(found.body) >= floor, "an old row was read after a newer one was written"
                self.hits += 1
            elif found is not None and found.granted:
                row = self.stored[key]
                await self.pause()
                is_stored = await fill(rows, key, found, entry(str(row)), 60.0)
                self.fills += is_stored
                self.refused_fills += not is_stored
            await asyncio.sleep(0)

    async def write(self, rows: RedisRows) -> None:
        while self.goes_on():
            await asyncio.sleep(self.random.uniform(0, 0.02))
            key = self.random.choice(KEYS)
            intent = await rows.intend([key])
            await self.pause()
            self.stored[key] = row = self.stored[key] + 1
            await self.pause()
            assert await rows.settle([key], intent)
            self.acknowledged[key] = max(row, self.acknowledged[key])
            self.writes += 1

    async def evict(self, redis: RedisServer) -> None:
        """As Redis does when it is full; scripts too."""
        while self.goes_on():
            await asyncio.sleep(0.005)
            kind = self.random.choice("vli")
            if names := command(redis, "KEYS", f"content:*:{kind}:*"):
                command(redis, "DEL", *names)
            if self.random.random() < 0.1:
                command(redis, "SCRIPT", "FLUSH")


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_read_after_an_acknowledged_write_finds_an_older_row(
    open_rows: OpenRows, redis: RedisServer, seed: int
) -> None:
    nears, replicas = [], []
    for _ in range(3):
        near = Near(1_000_000, 60.0)
        nears.append(near)
        replicas.append(await open_rows(redis, near=near))
    race = Race(seed)
    readers = [race.read(rows) for rows in replicas for _ in range(4)]
    await asyncio.gather(*readers, *map(race.write, replicas), race.evict(redis))
    assert race.least() > ENOUGH
    await asyncio.sleep(0.1)  # pushes have arrived
    for near in nears:
        kept = {key: found for key in KEYS if (found := near.get(key))}
        assert all(int(found.body) == race.stored[key] for key, found in kept.items())
