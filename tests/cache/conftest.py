"""A Redis of the module's own, since these tests freeze, kill and misconfigure it."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from bench.lab.servers import RedisServer
from cache.near import Near
from cache.redis.address import Address
from cache.redis.link import Identity, Place
from cache.redis.rows import RedisRows
from tests.cache.redis_world import command, named, until, url_of

OpenRows = Callable[..., Awaitable[RedisRows]]


@pytest.fixture(autouse=True)
def log_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "content")


@pytest.fixture(scope="module")
def module_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis(module_redis: RedisServer) -> RedisServer:
    """Running, and empty, whatever the test before has done to it."""
    if module_redis.running:
        module_redis.resume()
    module_redis.start()
    command(module_redis, "FLUSHALL")
    command(module_redis, "CONFIG", "RESETSTAT")
    return module_redis


@pytest.fixture
async def open_rows() -> AsyncIterator[OpenRows]:
    """Opens ``RedisRows`` on a server or a URL and closes them after the test. With ``up=False``
    it does not wait. Deadlines are long where they are not what is tested: machines stall."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(
            where: RedisServer | str | Place,
            *,
            up: bool = True,
            identity: str | Identity = "test",
            near: Near | None = None,
            **options: Any,
        ) -> RedisRows:
            where = url_of(where) if isinstance(where, RedisServer) else where
            place = Address.from_url(where) if isinstance(where, str) else where
            options = {"deadline_s": 2.0, "write_deadline_s": 2.0, "hang_s": 5.0} | options
            identity = named(identity) if isinstance(identity, str) else identity
            near = Near(0, 1.0) if near is None else near
            rows = RedisRows(place, identity, near, **options)
            await rows.open()
            stack.push_async_callback(rows.close)
            if up:
                await until(lambda: rows.state == "up")
            return rows

        yield open_one


@pytest.fixture
async def rows(open_rows: OpenRows, redis: RedisServer) -> RedisRows:
    return await open_rows(redis)
