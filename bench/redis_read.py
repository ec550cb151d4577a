"""CPU of one read at 64 concurrent: `RedisRows` beside a pool of redis-py, on a real Redis here."""

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable

import uvloop
from redis.asyncio import Redis

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.near import Near
from cache.redis.address import Address
from cache.redis.rows import RedisRows
from cache.redis.scripts import Lease

CONCURRENT, READS, KEYS = 64, 200_000, 1_000
ENTRY = Entry(b'{"status":"success","data":' + b"x" * 600 + b"}", b'"tag"', 0.0)


async def measure(name: str, get: Callable[[str], Awaitable[Entry | None]], reads: int) -> float:
    """Return the microseconds of CPU of a read, after every key was read once."""
    numbers = iter(range(KEYS))

    async def reader() -> None:
        for number in numbers:  # one iterator for all: each takes the next
            assert await get(f"/content/{number % KEYS}") is not None

    await reader()
    numbers = iter(range(reads))
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(reader() for _ in range(CONCURRENT)))
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:10} {cpu_s / reads * 1e6:6.1f} us CPU a read, {reads / wall_s:8,.0f} reads/s")
    return cpu_s / reads * 1e6


async def ours(url: str) -> float:
    """Measure our client."""

    async def identity() -> str:
        return "bench"

    rows = RedisRows(Address.from_url(url), identity, Near(0, 1.0), deadline_s=1.0)
    await rows.open()
    while rows.state == "down":  # noqa: ASYNC110 - it tells nobody else
        await asyncio.sleep(0.01)
    for number in range(KEYS):
        key = f"/content/{number}"
        lease = await rows.lease(key)
        assert isinstance(lease, Lease)
        rows.fill(key, lease, ENTRY, 600.0)
        while await rows.get(key) is None:  # a script that Redis does not know yet is sent again
            pass
    try:
        return await measure("RedisRows", rows.get, READS)
    finally:
        await rows.close()


async def theirs(url: str) -> float:
    """Measure a pool of redis-py."""
    async with Redis.from_url(url, max_connections=CONCURRENT) as client:
        for number in range(KEYS):
            await client.set(f"/content/{number}", ENTRY.pack())

        async def get(key: str) -> Entry:
            found = await client.get(key)
            assert isinstance(found, bytes)
            return Entry.unpack(found)

        return await measure("redis-py", get, READS // 10)


async def main() -> None:
    """Measure both, and print their ratio."""
    with RedisServer() as server:
        url = f"redis://{server.host}:{server.port}"
        mine = await ours(url)
        print(f"redis-py / RedisRows: {await theirs(url) / mine:.1f}")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m bench.redis_read", description=__doc__).parse_args()
    uvloop.run(main())
