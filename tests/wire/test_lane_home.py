"""The home page of the fast lane: what the onion's is, from what is near alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from cache.near import Near
from cache.redis.absent import NoRedis
from config import Config
from drain import Drain
from middleware.onion import Context
from middleware.timing import RequestMetrics
from service import create_app
from tests.http.samples import draft, post
from tests.http.wire import request
from tests.wire.in_process import connected, serving
from tests.wire.twins import Twins, counted, twins
from wire.lane import Lane

PATIENT = {"NEAR_TTL_S": "600"}
JSON = "Content-Type: application/json"
HOME = request("GET", "/home")
CASES = {
    "plain": (HOME,),
    "HEAD": (request("HEAD", "/home"),),
    "a condition that always holds": (request("GET", "/home", "If-None-Match: *"),),
    "a query": (request("GET", "/home?x=1"),),
    "a slash": (request("GET", "/home/"),),
    "a hover": (request("GET", "/home", "Priority: u=5"),),
    "a body": (request("GET", "/home", body=b"x"),),
    "1.0": (request("GET", "/home", version="HTTP/1.0"),),
    "two in one": (HOME + HOME,),
    "a POST": (request("POST", "/home"),),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """Over a catalogue of one genre, so that every page is the same."""
    with twins(tmp_path_factory.mktemp("home"), PATIENT) as found:
        post(found.lane.client, genres=["A/B"])
        yield found


@pytest.mark.parametrize("name", CASES)
def test_the_lane_makes_the_page_that_the_app_does(both: Twins, name: str) -> None:
    methods = ["GET", "GET", "HEAD", "GET"] if name == "HEAD" else []
    end = request("GET", "/healthz", "Connection: close")
    for service in both:
        service.client.get("/home")
    lane, plain = both.both(HOME, HOME, *CASES[name], HOME, end, methods=methods)
    assert lane == plain
    assert plain.statuses[:2] == [200, 200]
    assert b"A/B" in plain.bodies[0]


def test_the_lane_counts_it_as_the_app_does(both: Twins) -> None:
    found = []
    for service in both:
        before = counted(service.client)
        for _ in range(7):
            service.client.get("/home")
        found.append(
            counted(service.client)["/home", "GET", "ok", ""] - before["/home", "GET", "ok", ""]
        )
    assert found == [7, 7]


async def nobody(ctx: Context) -> None:
    raise AssertionError("no row is loaded")


@pytest.mark.parametrize("page", [None, b"page"])
@pytest.mark.parametrize("draining", [False, True])
def test_the_app_makes_what_the_lane_cannot(page: bytes | None, draining: bool) -> None:
    drain = Drain(1.0)
    drain.active = draining
    metrics = RequestMetrics(CollectorRegistry())
    control = Config().cache_control
    near = Near(1 << 20, 60)
    lane = Lane(near, NoRedis(near).ask, lambda: page, nobody, metrics, control, drain)
    answered = lane.near("/home", None, ())
    assert bool(answered) == (page is not None and not draining)
    assert not lane.near("/home", "*", ())
    assert not lane.near("/homes", None, ())


def test_the_servers_own_headers_are_those_of_the_moment() -> None:
    """The server makes a new list each second, with another date."""
    near, metrics = Near(1 << 20, 60), RequestMetrics(CollectorRegistry())
    control = Config().cache_control
    lane = Lane(near, NoRedis(near).ask, lambda: b"page", nobody, metrics, control, Drain())
    for second in (b"1", b"2", b"3"):
        answered = lane.near("/home", None, [(b"date", second)])
        assert answered is not None
        assert b"\r\ndate: %b\r\n" % second in answered


async def test_the_service_has_its_lane_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes | None] = []
    near = Lane.near

    def noted(lane: Lane, *asked: Any) -> bytes | None:
        made.append(near(lane, *asked))
        return made[-1]

    monkeypatch.setattr(Lane, "near", noted)
    config = Config(embedded_path=str(tmp_path / "content.sqlite3"), drain_s=0)
    async with serving(create_app(config)) as port, connected(port) as client:
        client.send(request("POST", "/content", JSON, body=orjson.dumps(draft())))
        assert (await client.answer()).status == 201
        pages = []
        for _ in range(3):
            client.send(HOME)
            pages.append((await client.answer()).status)
    assert pages == [200, 200, 200]
    assert made[-1] is not None
