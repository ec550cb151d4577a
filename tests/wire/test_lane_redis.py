"""The fast lane while it asks Redis: late answers, what comes meanwhile, who goes away, the end."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.lab.servers import RedisServer, settings_of
from tests.cache.redis_world import calls, command
from tests.http.samples import post
from tests.http.service import RunningService, running
from tests.http.wire import BOUND_S, everything, one_answer, parse, request, talk
from tests.wire.twins import counted

DEADLINE_S = 0.3
LAST = request("GET", "/healthz", "Connection: close")
STORE = "content; fwd=miss; detail=store"


class Asking(NamedTuple):
    """A service whose lane asks Redis for every row, and a row that is there."""

    service: RunningService
    redis: RedisServer
    row_id: str

    @property
    def plain(self) -> bytes:
        return request("GET", f"/content/{self.row_id}")


@contextmanager
def asking(folder: Path, **settings: str) -> Iterator[Asking]:
    told = {"NEAR_BYTES": "0", "REDIS_DEADLINE_S": str(DEADLINE_S), **settings}
    with RedisServer() as redis, running({**told, **settings_of(redis=redis)}, folder) as service:
        row_id = str(post(service.client)["id"])
        for _ in range(2):
            service.client.get(f"/content/{row_id}")
        yield Asking(service, redis, row_id)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("asking")) as started:
        yield started


@contextmanager
def paused(world: Asking) -> Iterator[None]:
    """Redis is silent within the block, and there again after it."""
    world.redis.pause()
    try:
        yield
    finally:
        world.redis.resume()
        deadline = time.monotonic() + BOUND_S
        while layer(world) != "content; hit; detail=redis":
            assert time.monotonic() < deadline
            time.sleep(0.02)


def layer(world: Asking) -> str:
    return str(world.service.client.get(f"/content/{world.row_id}").headers["cache-status"])


def by_heart(world: Asking) -> socket.socket:
    """A connection whose plain head the lane knows."""
    service = world.service
    connection = socket.create_connection((service.host, service.port), timeout=BOUND_S)
    for _ in range(2):
        connection.sendall(world.plain)
        assert one_answer(connection).headers["cache-status"].endswith("redis")
    return connection


def test_a_silent_redis_costs_a_deadline_and_no_answer(world: Asking) -> None:
    with by_heart(world) as connection, paused(world):
        began = time.monotonic()
        connection.sendall(world.plain)
        answer = one_answer(connection)
        assert (answer.status, answer.headers["cache-status"]) == (200, STORE)
        assert time.monotonic() - began > DEADLINE_S - 0.1
        connection.sendall(world.plain)
        assert one_answer(connection).body == answer.body


@pytest.mark.parametrize("size", [10_000, 35, 7])
def test_what_comes_while_redis_is_asked_is_answered_after_it(world: Asking, size: int) -> None:
    other = str(post(world.service.client)["id"])
    rest = [
        request("GET", f"/content/{other}"),
        request("GET", "/nowhere"),
        request("POST", "/content", body=b"{}"),
        world.plain,
        LAST,
    ]
    stream = b"".join(rest)
    with by_heart(world) as connection, paused(world):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(world.plain)
        for start in range(0, len(stream), size):
            time.sleep(0.003)
            connection.sendall(stream[start : start + size])
        answers = everything(connection)
    assert [answer.status for answer in answers] == [200, 200, 404, 422, 200, 200]
    ids = [answers[number].json()["data"]["id"] for number in (0, 1, 4)]
    assert ids == [world.row_id, other, world.row_id]


def test_many_by_heart_one_after_the_other_while_redis_is_asked(world: Asking) -> None:
    """Each is held until the one before is answered, and is then a plain request again."""
    with by_heart(world) as connection, paused(world):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(20):
            connection.sendall(world.plain)
            time.sleep(0.003)
        connection.sendall(LAST)
        assert [answer.status for answer in everything(connection)] == [200] * 21


def test_after_what_was_held_back_the_connection_is_read_on(world: Asking) -> None:
    with by_heart(world) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with paused(world):
            for _ in range(2):
                connection.sendall(world.plain)
                time.sleep(0.02)
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 2 or not received.endswith(b"}"):
            received += connection.recv(65_536)
        assert len(parse(received)) == 2
        connection.sendall(world.plain)
        assert one_answer(connection).status == 200


def descriptors(service: RunningService) -> int:
    return len(os.listdir(f"/proc/{service.pid}/fd"))


@pytest.mark.parametrize("reset", [False, True])
def test_who_goes_away_while_redis_is_asked_leaves_nothing(world: Asking, reset: bool) -> None:
    before, said = descriptors(world.service), len(world.service.log())
    connections = [by_heart(world) for _ in range(50)]
    with paused(world):
        for number, connection in enumerate(connections):
            connection.sendall(world.plain * (1 + number % 2))
            if reset:
                linger = b"\1\0\0\0\0\0\0\0"
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
        time.sleep(DEADLINE_S)
    deadline = time.monotonic() + BOUND_S
    while descriptors(world.service) > before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    new = world.service.log()[said:]
    assert "Traceback" not in new
    assert "ERROR" not in new
    assert talk(world.service, LAST).statuses == [200]


def test_a_row_that_is_not_in_redis_is_asked_for_once(world: Asking) -> None:
    other = str(post(world.service.client)["id"])
    with by_heart(world) as connection:
        command(world.redis, "CONFIG", "RESETSTAT")
        connection.sendall(request("GET", f"/content/{other}"))
        assert one_answer(connection).headers["cache-status"] == STORE
        assert calls(world.redis)["mget"] == 1  # the onion does not ask again
        connection.sendall(request("GET", f"/content/{world.row_id.upper()}"))
        assert one_answer(connection).headers["cache-status"].endswith("redis")
        assert calls(world.redis)["mget"] == 2  # but it does for what comes next


def test_a_stale_and_an_absent_row_are_asked_for_once(tmp_path: Path) -> None:
    absent = request("GET", "/content/00000000-0000-4000-8000-000000000000")
    with asking(tmp_path, REDIS_TTL_S="0.2") as world, by_heart(world) as connection:
        time.sleep(0.3)
        connection.sendall(absent)
        assert one_answer(connection).status == 404
        command(world.redis, "CONFIG", "RESETSTAT")
        connection.sendall(world.plain)
        assert one_answer(connection).status == 200
        assert calls(world.redis)["mget"] == 1
        connection.sendall(absent)
        assert one_answer(connection).status == 404
        assert calls(world.redis)["mget"] == 2


def test_each_hit_in_redis_is_counted_once(world: Asking) -> None:
    before = counted(world.service.client)
    said = talk(world.service, *[world.plain] * 8, LAST, quiet_s=2.0)
    assert {each.headers.get("cache-status") for each in said.answers} == {
        "content; hit; detail=redis",
        None,
    }
    row = "/content/{id}"
    assert (counted(world.service.client) - before)[row, "GET", "ok", "redis"] == 8


def test_what_is_near_is_not_asked_for(tmp_path: Path) -> None:
    """An absent row that is known near to be absent is no question for Redis either."""
    absent = request("GET", "/content/00000000-0000-4000-8000-000000000000")
    with asking(tmp_path, NEAR_BYTES="1000000") as world:
        service = world.service
        assert (
            talk(service, *[absent] * 3, world.plain, world.plain, LAST).statuses[:2] == [404] * 2
        )
        time.sleep(0.1)  # the pushes of their fills have come
        assert talk(service, absent, world.plain, LAST).statuses == [404, 200, 200]
        command(world.redis, "CONFIG", "RESETSTAT")
        said = talk(service, *[world.plain, absent] * 5, LAST)
        assert said.statuses == [200, 404] * 5 + [200]
        assert calls(world.redis)["mget"] == 0


def test_a_drain_asks_those_to_go_whom_the_lane_answered_from_redis(tmp_path: Path) -> None:
    with asking(tmp_path, DRAIN_S="3") as world, by_heart(world) as connection:
        world.service.terminate()
        while world.service.client.get("/readyz").status_code == 200:
            time.sleep(0.02)
        connection.sendall(world.plain)
        (answer,) = everything(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.headers["cache-status"] == "content; hit; detail=redis"


def test_who_is_told_to_end_while_redis_is_asked_answers_first(tmp_path: Path) -> None:
    with asking(tmp_path) as world, by_heart(world) as connection, by_heart(world) as idle:
        world.redis.pause()
        connection.sendall(world.plain)
        time.sleep(0.05)
        world.service.terminate()
        (answer,) = everything(connection)
        assert (answer.status, answer.json()["data"]["id"]) == (200, world.row_id)
        assert everything(idle) == []
        world.service.wait()
        world.redis.resume()
        assert "Traceback" not in world.service.log()
