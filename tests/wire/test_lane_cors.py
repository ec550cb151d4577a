"""The lane beside CORS, and names that a cache may take for other names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.http.samples import genre_name, post
from tests.http.wire import request
from tests.wire.conftest import PATIENT
from tests.wire.twins import Twins, twins

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


@pytest.mark.parametrize("lines", [(), ("If-None-Match: *",)])
def test_a_request_without_an_origin_varies_with_it_too(cors: Twins, lines: tuple[str]) -> None:
    path = near(cors)
    plain = request("GET", path, *lines)
    lane, app = cors.both(plain, plain, plain, request("GET", "/healthz", "Connection: close"))
    assert b"\r\nvary: Origin" in app.heads[0]
    assert lane == app


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
