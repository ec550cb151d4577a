"""Real answers, good and bad, are what the contract says: status, headers and body."""

from typing import Any

import httpx
import pytest

from errors import Conflict, Late, ServiceError, Unavailable
from tests.api.conformance import DOCUMENT, Api

ROW = "/content/{id}"
GENRE = "/content/genre/{genre:path}"
NOWHERE = "/content/8987f37d-2550-4728-b30a-43df5932bcb2"
SERIES: dict[str, Any] = {"title": "t", "genres": ["Spy/Espionage"], "isMovie": False}
PROMISES = [
    (int(status), method.upper(), template)
    for template, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    for status in operation["responses"]
]
STORE_FAILS: dict[int, ServiceError] = {409: Conflict(), 503: Unavailable(), 504: Late()}
CAUSES: dict[int, dict[str, Any]] = {
    304: {"headers": {"If-None-Match": "*"}},
    400: {"content": b"{"},
    401: {"headers": {"Authorization": ""}},
    403: {"headers": {"Authorization": "Bearer x"}},
    412: {"headers": {"If-Match": '"x"'}},
    413: {"json": {"title": "x" * 1024}},
    415: {"data": {"title": "x"}},
    422: {"json": {"views": 1}},
}
"""What makes the service answer with a status, whatever the path."""
ELSEWHERE = {"id": NOWHERE.removeprefix("/content/"), "genre": "none", "asset": "none.css"}


async def posted(api: Api, **fields: Any) -> httpx.Response:
    response = await api.call("POST", "/content", "/content", json={**SERIES, **fields})
    assert response.status_code == 201
    return response


def target(status: int, method: str, template: str, row: str) -> str:
    """Return a target of the path that can be answered by ``status``; ``row`` is a row's id."""
    here = {"id": row, "genre": "Spy%2FEspionage", "asset": "page.css"}
    names = ELSEWHERE if status == 404 else here
    if (method, template) == ("GET", "/content"):
        return template if status == 400 else f"{template}?videoId={names['id']}"
    url = template.format(**names)
    return f"{url}?limit=0" if status == 400 and method == "GET" else url


@pytest.mark.parametrize(("status", "method", "template"), PROMISES)
async def test_every_answer_that_the_contract_promises_is_sent(
    api: Api, status: int, method: str, template: str
) -> None:
    row = (await posted(api)).json()["data"]["id"]
    if (status, template) == (404, "/videos"):
        await api.client.delete(f"/content/{row}")
    if (status, template) == (503, "/readyz"):
        api.store.down = "no route to it"
    api.store.fails = STORE_FAILS.get(status)
    good = {"POST": {"json": SERIES}, "PATCH": {"json": {"title": "u"}}}.get(method, {})
    cause = CAUSES.get(status, {})
    if {"content", "data"} & cause.keys():
        good = {}
    url = target(status, method, template, row)
    answer = await api.call(method, template, url, **{**good, **cause})
    assert answer.status_code == status, answer.text


async def test_examples_of_the_contract_are_accepted(api: Api) -> None:
    def example(method: str, template: str) -> Any:
        body = DOCUMENT["paths"][template][method]["requestBody"]
        return body["content"]["application/json"]["example"]

    draft, changes = example("post", "/content"), example("patch", ROW)
    created = await api.call("POST", "/content", "/content", json=draft)
    assert created.status_code == 201
    changed = await api.call("PATCH", ROW, created.headers["location"], json=changes)
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
    several = await api.call("GET", "/content", f"/content?ids={ids[0]},{ELSEWHERE['id']}")
    assert several.json()["data"] == {ids[0]: query.json()["data"], ELSEWHERE["id"]: None}
    first = await api.call("GET", GENRE, "/content/genre/Spy%2FEspionage?limit=2")
    following = "/content/genre/Spy%2FEspionage" + first.links["next"]["url"]
    last = await api.call("GET", GENRE, following)
    assert last.json()["data"] == {"Spy/Espionage": ids[:1]}
    assert (await api.call("GET", "/genres", "/genres")).json()["data"] == ["Spy/Espionage"]


@pytest.mark.parametrize(
    ("status", "method", "template", "url", "more"),
    [
        (404, "GET", "/content", "/content?videoId=x", {}),
        (404, "GET", ROW, "/content/x", {}),
        (400, "GET", "/uuids", "/uuids?cursor=x", {}),
        (422, "POST", "/content", "/content", {"json": SERIES, "headers": {"Idempotency-Key": ""}}),
        (400, "PATCH", ROW, NOWHERE, {"content": b""}),
        (404, "PATCH", ROW, "/content/x", {"json": {"title": "t"}}),
    ],
)
async def test_answer_to_a_malformed_request_is_as_documented(
    api: Api, status: int, method: str, template: str, url: str, more: dict[str, Any]
) -> None:
    assert (await api.call(method, template, url, **more)).status_code == status


async def test_readiness_before_the_store_was_ever_there_is_as_documented(api: Api) -> None:
    api.store.down = "no route to it"
    response = await api.call("GET", "/readyz", "/readyz")
    assert response.status_code == 503
    assert response.json()["data"]["reason"] == "no route to it"


async def test_method_that_a_path_lacks_is_as_documented(api: Api) -> None:
    response = await api.client.put("/content")
    api.check(response, DOCUMENT["components"]["responses"]["MethodNotAllowed"])
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
