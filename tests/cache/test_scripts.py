"""Each script's invariant, on a real Redis; expiry is read off Redis' own clock, not slept for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hiredis import ReplyError

from bench.lab.servers import RedisServer
from cache.redis.address import Address
from cache.redis.connection import Connection
from cache.redis.scripts import FENCED, FILL, GRANTED, HELD, INTEND, LEASE, SETTLE, Script
from tests.cache.redis_world import command, url_of

LEASE_MS, INTENT_MS, TTL_MS = 2_000, 10_000, 60_000


class World:
    """The scripts on key ``k`` (value ``v``, lease ``l``, intents ``i``), as several clients."""

    def __init__(self, connection: Connection, redis: RedisServer) -> None:
        self.connection, self.redis = connection, redis

    async def run(self, script: Script, keys: list[str], *args: str | int) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        command = ("EVAL", script.lua, len(keys), *keys, *args)
        assert self.connection.send(command, future.set_result)
        reply = await future
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def lease(self, token: str, replace: int = 0) -> Any:
        return await self.run(LEASE, ["v", "l", "i"], token, LEASE_MS, replace)

    async def fill(self, token: str, value: str) -> Any:
        return await self.run(FILL, ["v", "l"], token, value, TTL_MS)

    async def intend(self, writer: str, intent_ms: int = INTENT_MS) -> None:
        await self.run(INTEND, ["v", "l", "i", "m"], writer, intent_ms)

    async def settle(self, writer: str) -> None:
        await self.run(SETTLE, ["v", "l", "i", "m"], writer)

    def ask(self, *words: str | int) -> Any:
        return command(self.redis, *words)

    def now_ms(self) -> int:
        seconds, micros = self.ask("TIME")
        return int(seconds) * 1000 + int(micros) // 1000


@pytest.fixture
async def world(redis: RedisServer) -> AsyncIterator[World]:
    connection = Connection(lambda push: None, lambda why: None)
    await Address.from_url(url_of(redis)).connect(connection)
    yield World(connection, redis)
    connection.abort("done")


async def test_a_fill_under_its_lease_is_stored_for_its_ttl(world: World) -> None:
    assert await world.lease("reader") == GRANTED
    assert await world.fill("reader", "row") == 1
    assert world.ask("GET", "v") == "row"
    assert TTL_MS - 5_000 < world.ask("PTTL", "v") <= TTL_MS
    assert world.ask("EXISTS", "l") == 0


async def test_a_lease_says_the_value_when_there_is_one(world: World) -> None:
    world.ask("SET", "v", "row")
    assert await world.lease("reader") == b"row"
    assert world.ask("EXISTS", "l") == 0


async def test_a_value_answers_on_while_one_reader_replaces_it(world: World) -> None:
    world.ask("SET", "v", "row")
    assert await world.lease("one", replace=1) == GRANTED
    assert await world.lease("two", replace=1) == HELD
    assert await world.lease("three") == b"row"
    assert await world.fill("one", "newer row") == 1
    assert await world.lease("four") == b"newer row"


@pytest.mark.parametrize("settled", [False, True])
async def test_what_was_read_to_replace_a_value_is_not_stored_after_a_write(
    world: World, settled: bool
) -> None:
    world.ask("SET", "v", "row")
    await world.lease("reader", replace=1)
    await world.intend("writer")
    assert await world.lease("other", replace=1) == FENCED
    if settled:
        await world.settle("writer")
    assert await world.fill("reader", "old row") == 0
    assert world.ask("EXISTS", "v") == 0


async def test_one_reader_at_a_time_holds_the_lease_and_for_a_bounded_time(world: World) -> None:
    assert await world.lease("one") == GRANTED
    assert await world.lease("two") == HELD
    assert await world.fill("two", "row") == 0
    assert 0 < world.ask("PTTL", "l") <= LEASE_MS


async def test_a_lease_that_expired_fills_nothing(world: World) -> None:
    await world.lease("reader")
    world.ask("DEL", "l")  # as its expiry does
    assert await world.fill("reader", "row") == 0
    assert await world.lease("other") == GRANTED
    assert await world.fill("reader", "row") == 0
    assert world.ask("EXISTS", "v") == 0


async def test_a_second_fill_of_the_same_lease_is_refused(world: World) -> None:
    await world.lease("reader")
    await world.fill("reader", "row")
    assert await world.fill("reader", "other row") == 0
    assert world.ask("GET", "v") == "row"


@pytest.mark.parametrize("settled", [False, True])
async def test_a_read_from_before_a_write_never_puts_the_old_row_back(
    world: World, settled: bool
) -> None:
    await world.lease("reader")
    await world.intend("writer")
    if settled:
        await world.settle("writer")
    assert await world.fill("reader", "old row") == 0
    assert world.ask("EXISTS", "v") == 0


async def test_nothing_is_leased_while_a_write_is_under_way(world: World) -> None:
    world.ask("SET", "v", "old row")
    await world.intend("writer")
    assert world.ask("EXISTS", "v") == 0
    assert await world.lease("reader") == FENCED
    assert world.ask("EXISTS", "l") == 0
    await world.settle("writer")
    assert await world.lease("reader") == GRANTED
    assert world.ask("EXISTS", "i") == 0


async def test_a_read_under_way_during_settlement_fills_nothing(world: World) -> None:
    """Its lease was granted for want of an intent (evicted), its source read before the write."""
    await world.intend("writer")
    world.ask("DEL", "i")
    assert await world.lease("reader") == GRANTED
    await world.settle("writer")
    assert await world.fill("reader", "old row") == 0


async def test_an_evicted_intent_leaves_no_old_row_behind(world: World) -> None:
    await world.intend("writer")
    world.ask("DEL", "i")
    await world.lease("reader")
    assert await world.fill("reader", "old row") == 1
    await world.settle("writer")
    assert world.ask("EXISTS", "v") == 0


async def test_writers_never_lift_each_others_intent(world: World) -> None:
    for writer in ("one", "two", "three"):
        await world.intend(writer)
    await world.settle("two")
    assert await world.lease("reader") == FENCED
    await world.settle("one")
    await world.settle("one")
    assert await world.lease("reader") == FENCED
    await world.settle("three")
    assert await world.lease("reader") == GRANTED


async def test_a_writer_that_dies_blocks_fills_for_its_intents_lifetime(world: World) -> None:
    before = world.now_ms()
    await world.intend("dead")
    after = world.now_ms()
    assert before + INTENT_MS <= int(world.ask("ZSCORE", "i", "dead")) <= after + INTENT_MS
    assert 0 < world.ask("PTTL", "i") <= INTENT_MS
    world.ask("ZADD", "i", world.now_ms() - 1, "dead")  # as when that time has passed
    assert await world.lease("reader") == GRANTED


async def test_a_dead_writers_token_does_not_outlive_the_next_intent(world: World) -> None:
    world.ask("ZADD", "i", world.now_ms() - 1, "dead")
    await world.intend("alive")
    assert world.ask("ZRANGE", "i", 0, -1) == ["alive"]


async def test_a_shorter_intent_does_not_cut_a_longer_one_short(world: World) -> None:
    await world.intend("long", 60_000)
    await world.intend("short", 1_000)
    assert world.ask("PTTL", "i") > 50_000
    await world.intend("longest", 100_000)
    assert world.ask("PTTL", "i") > 90_000


async def test_a_write_covers_all_of_its_keys(world: World) -> None:
    names = [f"{kind}{number}" for number in range(3) for kind in "vli"]
    for name in names[0::3]:
        world.ask("SET", name, "old row")
    await world.run(INTEND, [*names, "m"], "writer", INTENT_MS)
    assert world.ask("EXISTS", *names) == 3
    for value in names[0::3]:
        assert await world.run(LEASE, [value, "l" + value[1], "i" + value[1]], "r", 1) == FENCED
        world.ask("SET", value, "old row")
    await world.run(SETTLE, [*names, "m"], "writer")
    assert world.ask("EXISTS", *names) == 0


async def test_a_full_redis_refuses_fills_but_no_write(world: World) -> None:
    await world.lease("reader")
    world.ask("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(ReplyError, match="OOM"):
            await world.fill("reader", "row")
        assert world.ask("GET", "l") == "reader"
        await world.intend("writer")
        assert world.ask("EXISTS", "l", "i") == 1
        assert await world.lease("reader") == FENCED
        await world.settle("writer")
        assert world.ask("EXISTS", "i") == 0
    finally:
        world.ask("CONFIG", "SET", "maxmemory", 0)
