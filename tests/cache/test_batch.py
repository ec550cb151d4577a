"""Coalesced reads on a connection whose replies the test writes."""

from collections import Counter

import pytest

from cache.entry import Entry
from cache.redis.address import Address
from cache.redis.calls import Calls
from cache.redis.connection import Connection, Reply
from cache.redis.handshake import Session
from cache.redis.link import Link
from cache.redis.metrics import RedisMetrics
from metrics import Publisher
from tests.cache.redis_world import entry, named, until
from tests.cache.test_connection import WireTap


def connected(tap: WireTap) -> tuple[Link, Connection]:
    """A link whose connection writes to ``tap``."""
    link = Link(Address(), named("test"), lambda push: None, lambda: None, 1.0, 1.0)
    connection = Connection(lambda push: None, link._down)
    connection.connection_made(tap)
    link._went_up(Session("p:", connection=connection))
    return link, connection


async def test_a_parse_that_raises_leaves_no_waiter_and_counts_each_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: Counter[str] = Counter()
    metrics = RedisMetrics(Publisher())

    def parse(key: str, packed: Reply) -> Entry:
        if packed == b"bad":
            raise RuntimeError("cannot be parsed")
        return entry()

    def count(result: str, reads: int) -> None:
        counts[result] += reads

    tap = WireTap()
    link, connection = connected(tap)
    monkeypatch.setattr(metrics, "count", count)
    calls = Calls(link, 0.05, parse, metrics)
    first = [calls.read("a"), calls.read("b"), calls.read("c")]
    await until(lambda: tap.written)
    second = [calls.read("d"), calls.read("e"), calls.read("e")]
    await until(lambda: tap.written.count(b"MGET") == 2)
    with pytest.raises(RuntimeError) as raised:
        connection.data_received(b"*3\r\n$4\r\ngood\r\n$3\r\nbad\r\n$4\r\ngood\r\n")
    connection.connection_lost(raised.value)  # as the event loop does
    await until(lambda: all(waiter.done() for waiter in (*first, *second)))
    await until(lambda: counts["late"] == 6)
    assert [waiter.result() for waiter in (*first, *second)] == [None] * 6
    assert +counts == {"late": 6}


async def test_keys_asked_for_together_leave_as_one_mget_and_count_each() -> None:
    publisher = Publisher()
    metrics = RedisMetrics(publisher)
    tap = WireTap()
    link, connection = connected(tap)
    found = entry()
    calls = Calls(link, 5.0, lambda key, packed: found, metrics)
    left, *page = map(calls.read, "abc")
    left.cancel()  # its client went away; the reply still comes in its order
    await until(lambda: tap.written.count(b"MGET") == 1)
    connection.data_received(b"*3\r\n$4\r\ngood\r\n$-1\r\n$4\r\ngood\r\n")
    assert [await each for each in page] == [None, found]
    publisher.publish()
    counted = [
        publisher.get_sample_value("content_redis_reads_total", {"result": result})
        for result in ("hit", "miss", "late", "down")
    ]
    assert counted == [2, 1, 0, 0]
    sent = calls.read("d")
    await until(lambda: tap.written.count(b"MGET") == 2)
    connection.abort("lost")
    assert [await each for each in (sent, *map(calls.read, "ef"))] == [None] * 3
    publisher.publish()
    down = publisher.get_sample_value("content_redis_reads_total", {"result": "down"})
    assert down == 3
