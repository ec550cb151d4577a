"""Real answers, good and bad, are what the contract says: status, headers and body."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.schemas import CHANGES_EXAMPLE, DRAFT_EXAMPLE
from errors import Conflict, Late, ServiceError, Unavailable
from tests.api.conformance import Api

ROW = "/content/{id}"
GENRE = "/content/genre/{genre:path}"
NOWHERE = "/content/8987f37d-2550-4728-b30a-43df5932bcb2"
SERIES: dict[str, Any] = {"title": "t", "genres": ["Spy/Espionage"], "isMovie": False}


async def posted(api: Api, **fields: Any) -> httpx.Response:
    response = await api.call("POST", "/content", "/content", json={**SERIES, **fields})
    assert response.status_code == 201
    return response


async def test_examples_are_what_the_service_takes(api: Api) -> None:
    created = await api.call("POST", "/content", "/content", json=DRAFT_EXAMPLE)
    assert created.status_code == 201
    changed = await api.call("PATCH", ROW, created.headers["location"], json=CHANGES_EXAMPLE)
    assert changed.status_code == 200


async def test_life_of_a_video_is_as_documented(api: Api) -> None:
    created = await posted(api, seasons=2)
    url, tag = created.headers["location"], created.headers["etag"]
    assert (await api.call("GET", ROW, url)).json() == created.json()
    cached = await api.call("GET", ROW, url, headers={"If-None-Match": tag})
    assert cached.status_code == 304
    await posted(api, title="another")
    changed = await api.call("PATCH", ROW, url, json={"seasons": None, "isMovie": True})
    assert "seasons" not in changed.json()["data"]
    for method, body in (("PATCH", {"title": "u"}), ("DELETE", None)):
        stale = await api.call(method, ROW, url, json=body, headers={"If-Match": tag})
        assert stale.status_code == 412
        assert stale.json()["lastupdated"] == changed.json()["data"]["lastupdated"]
    assert (await api.call("DELETE", ROW, url)).status_code == 200
    assert (await api.call("GET", ROW, url)).status_code == 404


async def test_lists_are_as_documented(api: Api) -> None:
    assert (await api.call("GET", "/videos", "/videos")).status_code == 404
    assert (await api.call("GET", "/home", "/home")).json()["data"] == {"homePage": []}
    ids = [(await posted(api)).json()["data"]["id"] for _ in range(3)]
    listed = await api.call("GET", GENRE, "/content/genre/Spy%2FEspionage")
    assert listed.json()["data"] == {"Spy/Espionage": ids[::-1]}
    assert (await api.call("GET", GENRE, "/content/genre/none")).status_code == 404
    assert (await api.call("GET", "/home", "/home")).json()["data"] == {
        "homePage": [{"Spy/Espionage": ids[::-1]}]
    }
    assert (await api.call("GET", "/videos", "/videos")).json()["data"] in ids
    page = await api.call("GET", "/uuids", "/uuids?limit=2")
    following = page.headers["link"].partition("<")[2].partition(">")[0]
    rest = await api.call("GET", "/uuids", following)
    assert sorted(page.json()["data"] + rest.json()["data"]) == sorted(ids)
    same = await api.call(
        "GET", "/uuids", "/uuids?limit=2", headers={"If-None-Match": page.headers["etag"]}
    )
    assert same.status_code == 304
    query = await api.call("GET", "/content", f"/content?videoId='{ids[0].upper()}'")
    assert query.json()["data"]["id"] == ids[0]


@pytest.mark.parametrize(
    ("status", "method", "template", "url", "more"),
    [
        (400, "GET", "/content", "/content", {}),
        (404, "GET", "/content", "/content?videoId=x", {}),
        (404, "GET", ROW, "/content/x", {}),
        (404, "GET", ROW, NOWHERE, {}),
        (400, "GET", "/uuids", "/uuids?limit=0", {}),
        (400, "GET", "/uuids", "/uuids?cursor=x", {}),
        (400, "POST", "/content", "/content", {"content": b"{"}),
        (401, "POST", "/content", "/content", {"headers": {"Authorization": ""}}),
        (403, "POST", "/content", "/content", {"headers": {"Authorization": "Bearer x"}}),
        (413, "POST", "/content", "/content", {"json": {"title": "x" * 1024}}),
        (415, "POST", "/content", "/content", {"data": {"title": "x"}}),
        (422, "POST", "/content", "/content", {"json": {}}),
        (422, "POST", "/content", "/content", {"json": SERIES, "headers": {"Idempotency-Key": ""}}),
        (400, "PATCH", ROW, NOWHERE, {"content": b""}),
        (401, "PATCH", ROW, NOWHERE, {"headers": {"Authorization": ""}}),
        (404, "PATCH", ROW, "/content/x", {"json": {"title": "t"}}),
        (404, "PATCH", ROW, NOWHERE, {"json": {"title": "t"}}),
        (422, "PATCH", ROW, NOWHERE, {"json": {"views": 1}}),
        (404, "DELETE", ROW, NOWHERE, {}),
        (403, "DELETE", ROW, NOWHERE, {"headers": {"Authorization": "Bearer x"}}),
        (200, "GET", "/", "/", {}),
        (200, "GET", "/healthz", "/healthz", {}),
        (200, "GET", "/readyz", "/readyz", {}),
        (200, "GET", "/metrics", "/metrics", {}),
        (200, "GET", "/openapi.json", "/openapi.json", {}),
        (200, "GET", "/docs", "/docs", {}),
        (200, "GET", "/docs/{asset}", "/docs/page.css", {}),
        (404, "GET", "/docs/{asset}", "/docs/nothing.css", {}),
    ],
)
async def test_answer_is_as_documented(
    api: Api, status: int, method: str, template: str, url: str, more: dict[str, Any]
) -> None:
    assert (await api.call(method, template, url, **more)).status_code == status


@pytest.mark.parametrize("error", [Unavailable(), Late()])
async def test_trouble_with_the_store_is_as_documented(api: Api, error: ServiceError) -> None:
    api.store.fails = error
    assert (await api.call("GET", ROW, NOWHERE)).status_code == error.status


async def test_lost_race_is_as_documented(api: Api) -> None:
    api.store.fails = Conflict()
    response = await api.call("PATCH", ROW, NOWHERE, json={"title": "t"})
    assert response.status_code == 409


async def test_readiness_before_the_store_was_ever_there_is_as_documented(api: Api) -> None:
    api.store.down = "no route to it"
    response = await api.call("GET", "/readyz", "/readyz")
    assert response.status_code == 503
    assert response.json()["data"]["reason"] == "no route to it"


async def test_method_that_a_path_lacks_is_as_documented(api: Api) -> None:
    response = await api.client.put("/content")
    api.check(response, api.document["components"]["responses"]["MethodNotAllowed"])
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
