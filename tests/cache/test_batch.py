"""Coalesced reads on a connection whose replies the test writes."""

from __future__ import annotations

from collections import Counter

import pytest

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
    second = reads.add("d")
    await until(lambda: tap.written.count(b"MGET") == 2)
    with pytest.raises(RuntimeError) as raised:
        connection.data_received(b"*3\r\n$4\r\ngood\r\n$3\r\nbad\r\n$4\r\ngood\r\n")
    connection.connection_lost(raised.value)  # as the event loop does
    await until(lambda: all(waiter.done() for waiter in (*first, second)))
    await until(lambda: counts["late"] == 4)
    assert first[0].result() is not None
    assert [waiter.result() for waiter in (*first[1:], second)] == [None] * 3
    assert counts == {"late": 4}
