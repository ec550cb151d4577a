"""Browsers: nothing is allowed across origins until ``CORS_ORIGINS`` says so."""

from collections.abc import Iterator

import httpx
import pytest

from tests.http.samples import draft, post
from tests.http.service import running

ORIGIN, SECOND, OTHER = "https://a.example", "https://b.example:8443", "https://evil.example"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = {"CORS_ORIGINS": f"{ORIGIN}, {SECOND}"}
    with running(settings, tmp_path_factory.mktemp("cors")) as service:
        yield service.client


def preflight(client: httpx.Client, url: str, method: str, origin: str = ORIGIN) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,idempotency-key,if-match,"
        "content-type,traceparent,x-request-id",
    }
    return client.options(url, headers=headers)


def names(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers[header].split(",")}


def test_it_is_off_by_default(client: httpx.Client) -> None:
    row = post(client)
    for answer in (
        client.get(f"/content/{row['id']}", headers={"Origin": ORIGIN}),
        client.get("/home", headers={"Origin": ORIGIN}),
        preflight(client, "/content", "POST"),
    ):
        assert answer.status_code < 300
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.post("/content", json=draft(), headers={"Origin": ORIGIN}).status_code == 403


@pytest.mark.parametrize("origin", [ORIGIN, SECOND])
def test_an_origin_of_the_list_may_read(shared: httpx.Client, origin: str) -> None:
    row = post(shared)
    answer = shared.get(f"/content/{row['id']}", headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    assert {"etag", "server-timing"} <= names(answer, "access-control-expose-headers")
    assert names(answer, "timing-allow-origin") == {ORIGIN, SECOND}
    assert "origin" in names(answer, "vary")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", [OTHER, "null", "http://a.example", ORIGIN + ".evil.example"])
def test_another_origin_may_not(shared: httpx.Client, origin: str) -> None:
    row = post(shared)
    answer = shared.get(f"/content/{row['id']}", headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin") is None
    refused = preflight(shared, "/content", "POST", origin)
    assert refused.headers.get("access-control-allow-origin") is None


def test_failures_and_304_are_readable_too(shared: httpx.Client) -> None:
    row = post(shared)
    tag = f'"{row["lastupdated"]}.2"'
    for answer, status in (
        (shared.get("/content/x", headers={"Origin": ORIGIN}), 404),
        (shared.get("/nowhere", headers={"Origin": ORIGIN}), 404),
        (shared.post("/home", headers={"Origin": ORIGIN}), 405),
        (shared.post("/content", json={}, headers={"Origin": ORIGIN}), 422),
        (
            shared.get(f"/content/{row['id']}", headers={"Origin": ORIGIN, "If-None-Match": tag}),
            304,
        ),
    ):
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    ("url", "method"),
    [("/content", "POST"), ("/content/x", "PATCH"), ("/content/x", "DELETE"), ("/home", "GET")],
)
def test_a_preflight_allows_what_the_service_does(
    shared: httpx.Client, url: str, method: str
) -> None:
    answer = preflight(shared, url, method)
    assert answer.status_code in (200, 204)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert method.lower() in names(answer, "access-control-allow-methods")
    wanted = {"authorization", "content-type", "idempotency-key", "if-match"}
    wanted |= {"traceparent", "x-request-id"}
    assert wanted <= names(answer, "access-control-allow-headers")


def test_a_refused_preflight_has_the_envelope(shared: httpx.Client) -> None:
    for answer in (preflight(shared, "/content", "POST", OTHER), preflight(shared, "/", "PUT")):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["status"] == "failed"
        assert list(answer.json()) == ["status", "message"]


def test_options_without_an_origin_is_still_options(shared: httpx.Client) -> None:
    answer = shared.options("/content")
    assert answer.status_code == 204
    assert "POST" in answer.headers["allow"]
