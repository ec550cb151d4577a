"""Clocks of replicas and of Redis: replicas agree on ages, also after a clock was set."""

import time

import pytest

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.redis.handshake import Session, note_clock
from cache.redis.rows import RedisRows
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import fill, granted, until


async def test_replicas_whose_clocks_differ_agree_on_what_is_fresh(
    open_rows: OpenRows, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = await open_rows(redis)
    real = time.time
    assert await fill(here, "k", await granted(here, "k"), Entry(b"row", b'"t"', real(), 5.0), 60.0)
    monkeypatch.setattr(time, "time", lambda: real() + 30.0)
    there = await open_rows(redis)
    found = await there.get("k")
    assert found is not None
    assert found.is_fresh()
    assert 0.0 <= time.time() - found.filled_at < 5.0


async def test_the_server_s_clock_is_read_at_the_handshake(
    open_rows: OpenRows, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await open_rows(redis))._link.session.clock_s == 0.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 60.0)
    assert 59.0 < (await open_rows(redis))._link.session.clock_s < 61.0


async def test_a_clock_that_is_set_later_is_noticed(
    rows: RedisRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, session = time.time, rows._link.session
    for ahead_s in (3_600.0, 0.0):
        monkeypatch.setattr(time, "time", lambda ahead_s=ahead_s: real() + ahead_s)
        await until(lambda ahead_s=ahead_s: abs(session.clock_s + ahead_s) < 0.5)  # type: ignore[misc]
    assert rows._link.session is session


@pytest.mark.parametrize(
    ("took_s", "ahead_s", "noted_s"), [(0.0, 60.0, 60.0), (2.0, 60.0, 60.0), (2.0, 1.0, 0.0)]
)
def test_a_slow_reply_shows_only_a_large_difference(
    took_s: float, ahead_s: float, noted_s: float
) -> None:
    session, now = Session(), time.time()
    server_s = now - took_s / 2 + ahead_s
    micros = round(server_s % 1 * 1e6) % 1_000_000
    reply = [str(int(server_s)).encode(), str(micros).encode()]
    assert note_clock(session, now - took_s, reply) == ""
    assert abs(session.clock_s - noted_s) < 0.05
