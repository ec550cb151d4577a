"""The lane beside CORS, and names that a cache may take for other names."""

import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from prometheus_client import CollectorRegistry

from cache.entry import Entry
from cache.near import Near
from cache.redis.absent import NoRedis
from config import Config
from drain import Drain
from middleware.onion import Context
from middleware.timing import RequestMetrics
from service import create_app
from tests.http.samples import draft, genre_name, post
from tests.http.wire import request
from tests.wire.conftest import PATIENT
from tests.wire.in_process import asked_of_lane, connected, serving
from tests.wire.twins import Twins, twins
from wire.lane import Lane

ORIGIN = "https://a.example"


@pytest.fixture(scope="module")
def cors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    settings = {**PATIENT, "CORS_ORIGINS": ORIGIN}
    with twins(tmp_path_factory.mktemp("cors"), settings) as both:
        yield both


def near(both: Twins) -> str:
    """The path of a row that both have near."""
    path = f"/content/{post(both.lane.client)['id']}"
    for service in both:
        service.client.get(path)
    return path


@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example", "null"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_request_with_an_origin_is_answered_as_by_the_app(
    cors: Twins, origin: str, method: str
) -> None:
    path = near(cors)
    asked = request(method, path, f"Origin: {origin}", "Access-Control-Request-Method: PATCH")
    last = request("GET", "/healthz", f"Origin: {ORIGIN}", "Connection: close")
    lane, plain = cors.both(asked, asked, last, methods=[method, method, "GET"])
    assert lane == plain
    assert len(plain.statuses) == 3


@pytest.mark.parametrize("near_bytes", ["67108864", "0"])
def test_an_answer_without_an_origin_varies_with_it_too(tmp_path: Path, near_bytes: str) -> None:
    """Near hits, and loads where nothing is kept near."""
    settings = {**PATIENT, "CORS_ORIGINS": "*", "NEAR_BYTES": near_bytes}
    with twins(tmp_path, settings) as both:
        path = near(both)
        for service in both:
            service.client.get("/home")
        plain, home = request("GET", path), request("GET", "/home")
        held, empty = request("GET", path, "If-None-Match: *"), request("HEAD", path)
        absent = request("GET", "/content/00000000-0000-4000-8000-000000000000")
        last = request("GET", "/healthz", "Connection: close")
        pieces = (plain, plain, plain, home, home, held, empty, absent, absent, last)
        lane, app = both.both(*pieces, methods=["GET"] * 6 + ["HEAD"] + ["GET"] * 3)
    assert app.statuses == [200] * 5 + [304, 200, 404, 404, 200]
    assert all(b"\r\nvary: Origin" in head for head in app.heads)
    assert lane == app


async def nobody(ctx: Context) -> None:
    raise AssertionError("no row is loaded")


@pytest.mark.parametrize("has_cors", [False, True])
def test_a_hit_in_redis_varies_with_the_origin_too(has_cors: bool) -> None:
    near, metrics, control = Near(0, 60), RequestMetrics(CollectorRegistry()), b"no-cache"
    lane = Lane(
        near, NoRedis(near).ask, lambda: None, nobody, metrics, control, Drain(), has_cors=has_cors
    )
    response = lane.found(Entry(b"{}", b'"1.2"', time.time(), 60), 0.001, ())
    assert response is not None
    assert response.endswith(b"\r\n\r\n{}")
    assert (b"\r\nvary: Origin\r\n" in response) == has_cors


async def test_only_requests_with_an_origin_leave_the_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asked_of_lane(monkeypatch)
    path = str(tmp_path / "content.sqlite3")
    config = Config(embedded_path=path, drain_s=0, cors_origins=(ORIGIN,))
    body = orjson.dumps(draft())
    async with serving(create_app(config)) as port, connected(port) as client:
        client.send(request("POST", "/content", "Content-Type: application/json", body=body))
        key = f"/content/{orjson.loads((await client.answer()).body)['data']['id']}"
        for lines in ((), (), (f"Origin: {ORIGIN}",), ("Origin: null",), ()):
            client.send(request("GET", key, *lines))
            assert (await client.answer()).status == 200
    assert made == [key] * 3


def test_a_genre_with_a_percent_sign_is_not_taken_for_another(cors: Twins) -> None:
    """``a%2Fb``, asked for as ``a%252Fb``, decodes to what is the key of ``a/b``."""
    start = genre_name().replace(" ", "-")
    slash, percent = f"{start}/b", f"{start}%2Fb"
    post(cors.lane.client, genres=[slash])
    made = post(cors.lane.client, genres=[percent])
    for service in cors:
        for _ in range(2):
            assert service.client.get(f"/content/genre/{start}%2Fb").status_code == 200
        found = service.client.get(f"/content/genre/{start}%252Fb")
        assert found.json()["data"] == {percent: [made["id"]]}
