"""``If-None-Match``: whoever has the current bytes gets a 304, and nobody else does."""

from typing import Any

import httpx

from tests.each import each
from tests.http.samples import data, failure, genre_name, post

CURRENT = [
    "{tag}",
    "W/{tag}",
    "*",
    '"other", {tag}',
    '{tag}, "other"',
    '{tag},"other"',
    '"a,b",{tag}',
    'W/"x",W/{tag}',
    '"x" ,  {tag}',
    '"", {tag}',
]
STALE = [
    '"other"',
    'W/"other"',
    "{tag}x",
    "x{tag}",
    "{bare}",
    '"{bare},"',
    '"{bare}',
    '{bare}"',
    '"*"',
    "",
    ",",
    '"a,{bare},b"',
]
STALE_AFTER_ALL = {"{tag}x", "x{tag}"}  # malformed lists: either reading of them is right
TAGGED = ["/content/{id}", "/content?videoId={id}", "/content/genre/{genre}", "/uuids?limit=3"]
TAGGED += ["/content?ids={id}", "/content/genre/{genre}?limit=3"]


def made(client: httpx.Client, url: str) -> tuple[str, Any]:
    genre = genre_name()
    row = post(client, genres=[genre])
    return url.format(id=row["id"], genre=genre), row


def conditions(templates: list[str], tag: str) -> list[str]:
    return [template.format(tag=tag, bare=tag.strip('"')) for template in templates]


@each("url", TAGGED)
def test_who_has_the_current_bytes_gets_no_body(client: httpx.Client, url: str) -> None:
    url, _ = made(client, url)
    full = client.get(url)
    for condition in conditions(CURRENT, full.headers["etag"]):
        for method in ("GET", "HEAD"):
            answer = client.request(method, url, headers={"If-None-Match": condition})
            assert (answer.status_code, answer.content) == (304, b""), condition
            assert "content-type" not in answer.headers
            assert answer.headers.get("content-length") in (None, full.headers["content-length"])
            for name in ("etag", "cache-control", "date", "server-timing", "cache-status"):
                assert name in answer.headers
            for name in ("etag", "cache-control", "link"):
                assert answer.headers.get(name) == full.headers.get(name)


@each("url", TAGGED)
def test_who_has_other_bytes_gets_them_all(client: httpx.Client, url: str) -> None:
    url, _ = made(client, url)
    full = client.get(url)
    templates = [each for each in STALE if each not in STALE_AFTER_ALL]
    for condition in conditions(templates, full.headers["etag"]):
        answer = client.get(url, headers={"If-None-Match": condition})
        assert (answer.status_code, answer.content) == (200, full.content), condition


def test_a_condition_may_come_in_two_lines(client: httpx.Client) -> None:
    url, row = made(client, "/content/{id}")
    lines = [("If-None-Match", '"x"'), ("If-None-Match", f'"{row["lastupdated"]}.2"')]
    assert client.get(url, headers=lines).status_code == 304


def test_a_change_ends_what_was_current(client: httpx.Client) -> None:
    url, row = made(client, "/content/{id}")
    old = {"If-None-Match": client.get(url).headers["etag"]}
    assert client.get(url, headers=old).status_code == 304
    changed = client.patch(url, json={"title": "New"})
    for asked in (url, f"/content?videoId={row['id']}", url.upper().replace("CONTENT", "content")):
        assert data(client.get(asked, headers=old))["title"] == "New"
        new = {"If-None-Match": changed.headers["etag"]}
        assert client.get(asked, headers=new).status_code == 304


def test_another_representation_of_the_version_is_not_current(client: httpx.Client) -> None:
    url, row = made(client, "/content/{id}")
    other = {"If-None-Match": f'"{row["lastupdated"]}.1"'}
    assert client.get(url, headers=other).status_code == 200


def test_dates_say_nothing(client: httpx.Client) -> None:
    url, _ = made(client, "/content/{id}")
    since = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert client.get(url, headers=since).status_code == 200


def test_what_is_not_there_is_not_current(client: httpx.Client) -> None:
    for url in ("/content/x", "/content/genre/" + genre_name(), "/nowhere"):
        failure(client.get(url, headers={"If-None-Match": "*"}), 404)


@each("url", ["/home", "/videos", "/healthz", "/readyz", "/metrics", "/"])
def test_what_is_drawn_anew_has_no_tag(client: httpx.Client, url: str) -> None:
    post(client)
    answer = client.get(url, headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert answer.content
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_a_write_is_never_a_304(client: httpx.Client) -> None:
    url, row = made(client, "/content/{id}")
    for condition in (f'"{row["lastupdated"]}.2"', "*"):
        headers = {"If-None-Match": condition}
        failure(client.patch(url, json={"title": "New"}, headers=headers), 412)
        failure(client.delete(url, headers=headers), 412)
    data(client.delete(url, headers={"If-None-Match": '"x"'}))


def test_max_age_is_a_setting(start_service: Any) -> None:
    with start_service(MAX_AGE_S="30") as service:
        url, _ = made(service.client, "/content/{id}")
        for asked in (url, "/uuids"):
            assert service.client.get(asked).headers["cache-control"] == "max-age=30"
        failure(service.client.get("/content/x"), 404)
        assert service.client.get("/home").headers["cache-control"] == "no-store"
