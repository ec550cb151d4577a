"""Methods: what a path does not do is a 405 that names all it does."""

import uuid

import httpx
import pytest

from tests.each import each
from tests.http.samples import data, draft, failure, post

READ = {"GET", "HEAD", "OPTIONS"}
ALLOWED = {
    "/": READ,
    "/content": READ | {"POST"},
    "/content/{id}": READ | {"PATCH", "DELETE"},
    "/content/x": READ | {"PATCH", "DELETE"},
    "/content/genre/Drama": READ,
    "/home": READ,
    "/videos": READ,
    "/uuids": READ,
    "/genres": READ,
    "/healthz": READ,
    "/readyz": READ,
    "/metrics": READ,
    "/openapi.json": READ,
    "/docs": READ,
    "/docs/x": READ,
}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "PURGE", "LINK"]
STEMS = {"/content/{id}": f"/content/{uuid.uuid4()}"}


def allow(answer: httpx.Response) -> set[str]:
    methods = answer.headers["allow"].split(", ")
    assert len(methods) == len(set(methods))
    return set(methods)


@each("path", ALLOWED)
def test_another_method_is_refused_with_all_that_are_allowed(
    client: httpx.Client, path: str
) -> None:
    url = STEMS.get(path, path)
    for method in set(METHODS) - ALLOWED[path]:
        answer = client.request(method, url)
        failure(answer, 405, "Method Not Allowed")
        assert allow(answer) == ALLOWED[path]


@each("path", ALLOWED)
def test_options_says_what_is_allowed(client: httpx.Client, path: str) -> None:
    answer = client.options(STEMS.get(path, path))
    assert (answer.status_code, answer.content) == (204, b"")
    assert allow(answer) == ALLOWED[path]
    assert "content-length" not in answer.headers
    assert "content-type" not in answer.headers


@each("path", ALLOWED)
def test_every_allowed_method_is_there(client: httpx.Client, path: str) -> None:
    for method in ALLOWED[path]:
        assert client.request(method, STEMS.get(path, path)).status_code not in (405, 500, 501)


@each("path", [path for path in ALLOWED if path not in ("/metrics", "/home")])
def test_head_is_get_without_a_body(client: httpx.Client, path: str) -> None:
    post(client)
    get, head = client.get(STEMS.get(path, path)), client.head(STEMS.get(path, path))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    assert head.headers["content-type"] == get.headers["content-type"]
    assert set(head.headers) == set(get.headers)


@each("method", [*METHODS, "HEAD", "OPTIONS"])
def test_a_path_that_is_not_there_has_no_methods(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/nowhere")
    assert answer.status_code == 404
    assert "allow" not in answer.headers
    if method != "HEAD":
        failure(answer, 404, "Not Found")


@pytest.mark.parametrize(
    "url", ["/content/{id}", "/content?videoId={id}", "/content/genre/{genre}"]
)
def test_what_is_cached_answers_get_alone(client: httpx.Client, url: str) -> None:
    row = post(client, genres=[uuid.uuid4().hex])
    url = url.format(id=row["id"], genre=row["genres"][0])
    for _ in range(3):
        get = client.get(url)
        for method in ("OPTIONS", "PUT", "TRACE", "PURGE", "PROPFIND"):
            answer = client.request(method, url)
            assert answer.status_code == (204 if method == "OPTIONS" else 405), method
            assert "GET" in allow(answer)
        failure(client.request("POST", url), 400 if "?" in url else 405)
        assert (client.head(url).status_code, client.head(url).content) == (200, b"")
        assert client.get(url).content == get.content


def test_a_cached_row_can_be_changed_and_deleted(client: httpx.Client) -> None:
    url = f"/content/{post(client)['id']}"
    for title in ("A", "B", "C"):
        for _ in range(3):
            data(client.get(url))
        failure(client.request("PATCH", url), 400)  # no body at all
        data(client.patch(url, json={"title": title}))
        assert data(client.get(url))["title"] == title
    for _ in range(3):
        data(client.get(url))
    assert list(data(client.delete(url))) == ["id"]
    failure(client.get(url), 404)


@each("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
def test_no_header_changes_the_method(client: httpx.Client, name: str) -> None:
    row = post(client)
    url = f"/content/{row['id']}"
    assert data(client.get(url, headers={name: "DELETE"})) == row
    made = client.post("/content", json=draft(), headers={name: "GET"})
    assert made.status_code == 201
    failure(client.post(url, json={"title": "x"}, headers={name: "PATCH"}), 405)
    failure(client.post(f"{url}?_method=DELETE"), 405)
    assert data(client.get(url)) == row
