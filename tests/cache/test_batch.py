"""Coalesced reads on a connection whose replies the test writes."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from cache.entry import Entry
from cache.redis.calls import Batches
from cache.redis.connection import Connection, Reply
from cache.redis.metrics import RedisMetrics
from tests.cache.redis_world import entry, until
from tests.cache.test_connection import WireTap


async def test_a_parse_that_raises_leaves_no_waiter_and_counts_each_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: Counter[str] = Counter()
    metrics = RedisMetrics(None)

    def parse(key: str, packed: Reply) -> Entry:
        if packed == b"bad":
            raise RuntimeError("cannot be parsed")
        return entry()

    def count(result: str, reads: int) -> None:
        counts[result] += reads

    tap = WireTap()
    connection = Connection(lambda push: None, lambda why: None)
    connection.connection_made(tap)
    monkeypatch.setattr(metrics, "count", count)
    reads = Batches(connection, "p:", 0.05, parse, metrics)
    first = [reads.add("a"), reads.add("b"), reads.add("c")]
    await until(lambda: tap.written)
    second, page = reads.add("d"), reads.add_all(["e", "f"])
    await until(lambda: tap.written.count(b"MGET") == 3)
    with pytest.raises(RuntimeError) as raised:
        connection.data_received(b"*3\r\n$4\r\ngood\r\n$3\r\nbad\r\n$4\r\ngood\r\n")
    connection.connection_lost(raised.value)  # as the event loop does
    await until(lambda: page.done() and all(waiter.done() for waiter in (*first, second)))
    await until(lambda: counts["late"] == 6)
    assert [waiter.result() for waiter in (*first, second)] == [None] * 4
    assert page.result() == [None, None]
    assert counts == {"late": 6}


async def test_keys_asked_for_together_leave_as_one_mget_and_count_each() -> None:
    metrics = RedisMetrics(registry := CollectorRegistry())
    tap = WireTap()
    connection = Connection(lambda push: None, lambda why: None)
    connection.connection_made(tap)
    found = entry()
    reads = Batches(connection, "p:", 5.0, lambda key, packed: found, metrics)
    left, page = reads.add_all(["a"]), reads.add_all(["b", "c"])
    left.cancel()  # its client went away; the reply still comes in its order
    await until(lambda: tap.written.count(b"MGET") == 2)
    connection.data_received(b"*1\r\n$4\r\ngood\r\n" + b"*2\r\n$-1\r\n$4\r\ngood\r\n")
    assert await page == [None, found]
    metrics.publish()
    counted = [
        registry.get_sample_value("content_redis_reads_total", {"result": result})
        for result in ("hit", "miss", "late", "down")
    ]
    assert counted == [2, 1, 0, 0]
    assert reads.add_all(["d"]) is not page
    connection.abort("lost")
    assert await reads.add_all(["e", "f"]) == [None, None]
    metrics.publish()
    down = registry.get_sample_value("content_redis_reads_total", {"result": "down"})
    assert down == 3
