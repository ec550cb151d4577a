"""A Redis that allows little: no room, no password, no permission, and what it costs to ask."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from hiredis import ReplyError

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.redis.rows import RedisRows
from errors import Unavailable
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import (
    FakeRedis,
    Recorder,
    command,
    entry,
    fill,
    filled,
    granted,
    reconnected,
    until,
    url_of,
    warnings,
)


class Limited:
    """Opens rows as a user who may do all but ``rules`` take away."""

    def __init__(self, redis: RedisServer, open_rows: OpenRows) -> None:
        self._redis, self._open_rows = redis, open_rows
        self.told = Recorder()

    async def open(self, *rules: str, up: bool = True) -> RedisRows:
        self.allow(*rules)
        url = url_of(self._redis, "limited:secret@")
        return await self._open_rows(url, up=up, near=self.told)

    def knows(self, rule: str) -> bool:
        """Whether this server can take away just that; Redis 6 knows no subcommands there."""
        try:
            self.allow(rule)
        except ReplyError:
            return False
        return True

    def allow(self, *rules: str) -> None:
        user = ("limited", "reset", "on", ">secret", "~*", "&*", "+@all")
        command(self._redis, "ACL", "SETUSER", *user, *rules)


@pytest.fixture
def limited(redis: RedisServer, open_rows: OpenRows) -> Iterator[Limited]:
    yield Limited(redis, open_rows)
    command(redis, "ACL", "DELUSER", "limited")


async def test_no_more_clients_is_an_outage_until_there_is_room(
    open_rows: OpenRows, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    command(redis, "CONFIG", "SET", "maxclients", 2)
    try:
        first = await open_rows(redis)
        second = await open_rows(redis)
        third = await open_rows(redis, up=False)
        await until(lambda: third.reason not in ("", "not opened yet"))
        await asyncio.sleep(0.3)
        assert third.state == "down"
        assert (first.state, second.state) == ("up", "up")
        assert len(warnings(caplog)) == 1
        await first.close()
        await until(lambda: third.state == "up")
    finally:
        await second.close()
        await until(lambda: _is_widened(redis))


def _is_widened(redis: RedisServer) -> bool:
    try:
        return bool(command(redis, "CONFIG", "SET", "maxclients", 1_000))
    except Exception:  # noqa: BLE001 - there is no room to ask for room yet
        return False


async def test_a_wrong_password_is_an_outage_and_is_not_logged(
    open_rows: OpenRows, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(args=["--requirepass", "right"]) as server:
        rows = await open_rows(url_of(server, ":wrong-one@"), up=False)
        await until(lambda: rows.reason.startswith("WRONGPASS"))
        await until(lambda: rows._link.attempts > 3)
        assert await rows.get("k") is None
        (warning,) = warnings(caplog)
        assert "wrong-one" not in warning


async def test_an_old_redis_is_named_and_the_password_is_not(
    open_rows: OpenRows, caplog: pytest.LogCaptureFixture
) -> None:
    said = b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `me`, `secret`"
    async with FakeRedis() as fake:
        fake.answers["HELLO"] = said + b"\r\n"
        rows = await open_rows(fake.url.replace("://", "://me:secret@"), up=False)
        await until(lambda: "Redis 6" in rows.reason)
        await rows.close()
    assert "secret" not in caplog.text + rows.reason


async def test_no_password_where_one_is_needed_is_an_outage(open_rows: OpenRows) -> None:
    with RedisServer(args=["--requirepass", "right"]) as server:
        refused = await open_rows(server, up=False)
        await until(lambda: refused.reason.startswith("NOAUTH"))
        rows = await open_rows(url_of(server, ":right@"))
        await filled(rows, "k")
        assert refused.state == "down"


async def test_without_config_the_check_of_persistence_is_skipped(
    limited: Limited, caplog: pytest.LogCaptureFixture
) -> None:
    rows = await limited.open("-config")
    await filled(rows, "k")
    assert warnings(caplog) == []
    assert limited.told.of("state")[-1]


async def test_config_renamed_away_is_the_same(
    open_rows: OpenRows, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(args=["--rename-command", "CONFIG", ""]) as server:
        rows = await open_rows(server)
        await filled(rows, "k")
    assert warnings(caplog) == []


async def test_without_info_runs_are_not_told_apart_and_it_says_so(
    limited: Limited, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    rows = await limited.open("-info")
    await filled(rows, "k")
    assert command(redis, "KEYS", "content:*:test:any-run:v:k") != []
    (warning,) = warnings(caplog)
    assert "INFO" in warning
    assert "restart" in warning
    assert limited.told.of("state")[-1]
    command(redis, "CLIENT", "KILL", "USER", "limited")
    await reconnected(rows, rows._link.attempts)
    assert isinstance(await rows.get("k"), Entry)
    assert sum("INFO" in text for text in warnings(caplog)) == 1  # not again with each connection


async def test_without_tracking_the_near_cache_stays_off(
    limited: Limited, caplog: pytest.LogCaptureFixture
) -> None:
    rule = "-client|tracking"
    rows = await limited.open(rule if limited.knows(rule) else "-client")
    await filled(rows, "k")
    assert isinstance(await rows.get("k"), Entry)
    assert set(limited.told.of("state")) == {False}
    assert limited.told.of("value") == []
    (warning,) = warnings(caplog)
    assert "CLIENT TRACKING" in warning


@pytest.mark.parametrize("rule", ["-client|setinfo", "-client|setname", "-script"])
async def test_what_is_not_needed_is_not_missed(
    limited: Limited, redis: RedisServer, caplog: pytest.LogCaptureFixture, rule: str
) -> None:
    if not limited.knows(rule):
        pytest.skip("this server has no such rule")
    rows = await limited.open(rule)
    command(redis, "SCRIPT", "FLUSH")
    await filled(rows, "k")
    assert limited.told.of("state")[-1]
    assert warnings(caplog) == []


@pytest.mark.parametrize("rule", ["-evalsha", "-eval", "-time", "-zadd"])
async def test_without_scripts_reads_go_on_and_writes_are_refused(
    limited: Limited, redis: RedisServer, caplog: pytest.LogCaptureFixture, rule: str
) -> None:
    rows = await limited.open()
    await filled(rows, "k")
    await rows.settle(["other"], await rows.intend(["other"]))
    command(redis, "SCRIPT", "FLUSH")
    limited.allow(rule)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await rows.intend(["k"])
    assert isinstance(await rows.get("k"), Entry)
    assert rows.state == "up"
    assert "NOSCRIPT" not in rows.reason  # which would not tell an operator what to mend
    # SCRIPT FLUSH ends the connection once, if Redis knows digests at all
    (warning,) = (each for each in warnings(caplog) if "NOSCRIPT" not in each)
    assert "fills and writes" in warning
    assert "permission" in warning or "can't run this command" in warning


async def test_a_full_redis_that_has_forgotten_the_scripts_refuses_no_write(
    rows: RedisRows, redis: RedisServer
) -> None:
    await filled(rows, "other")
    assert await rows.settle(["k"], await rows.intend(["k"]))
    lease = await granted(rows, "k")
    command(redis, "CONFIG", "SET", "maxmemory", 1)
    try:
        assert not await fill(rows, "k", lease, entry(), 60.0)
        assert "OOM" in rows.reason
        command(redis, "SCRIPT", "FLUSH")
        assert await rows.settle(["k"], await rows.intend(["k"]))
    finally:
        command(redis, "CONFIG", "SET", "maxmemory", 0)


async def test_without_reads_it_is_an_outage_that_names_the_command(
    limited: Limited, caplog: pytest.LogCaptureFixture
) -> None:
    rows = await limited.open("-mget", up=False)
    await until(lambda: "mget" in rows.reason)
    assert rows.state == "down"
    limited.allow()
    await until(lambda: rows.state == "up")
    assert len(warnings(caplog)) == 1


async def test_the_least_that_is_needed_is_enough(
    limited: Limited, caplog: pytest.LogCaptureFixture
) -> None:
    commands = "hello client info config|get mget evalsha eval get set del time pttl pexpire"
    sets = "zadd zrem zcount zremrangebyscore"
    allowed = [f"+{each}" for each in f"{commands} {sets}".split()]
    rows = await limited.open("-@all", "resetkeys", "~content:*", "resetchannels", *allowed)
    await filled(rows, "k")
    assert limited.told.of("state")[-1]
    assert await rows.settle(["k"], await rows.intend(["k"]))
    assert warnings(caplog) == []
    assert "refuses" not in caplog.text


async def test_reconnecting_leaks_no_socket(
    open_rows: OpenRows, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.redis.link.BACKOFF_MAX_S", 0.001)
    rows = await open_rows(redis)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        connects = rows._link.attempts
        if number % 5 == 0:  # a handshake that does not end
            redis.pause()
            rows._link.fail("on purpose")
            await asyncio.sleep(0.01)
            redis.resume()
        else:
            command(redis, "CLIENT", "KILL", "TYPE", "normal")
        await reconnected(rows, connects)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert len(command(redis, "CLIENT", "LIST").splitlines()) <= 3
