"""Nothing in an answer is made of the ``Host`` header, nor of what proxies say about it."""

import re

import httpx

from tests.each import each
from tests.http.samples import draft, post
from tests.http.service import RunningService
from tests.http.wire import Answer, request, talk

FORGED = [
    *("X-Forwarded-Host: evil.example", "X-Forwarded-Proto: evil", "X-Forwarded-Port: 666"),
    *("X-Forwarded-For: 6.6.6.6", "X-Forwarded-Prefix: /evil", "X-Original-URL: /evil"),
    *("Forwarded: host=evil.example;proto=evil", "X-Rewrite-URL: /evil", "X-Host: evil.example"),
    *("Origin: https://evil.example", "Referer: https://evil.example/"),
]
VARIABLE = re.compile(r"date|server-timing|age|x-request-id")
PATHS = [
    *("/", "/content/{id}", "/content?videoId={id}", "/content/genre/{genre}", "/uuids?limit=1"),
    *("/healthz", "/readyz", "/openapi.json", "/docs", "/nowhere", "/content/", "/home/"),
    *("/content/{id}/", "/docs/", "//evil.invalid/"),
]


def ask(service: RunningService, host: str, target: str, *lines: str) -> Answer:
    conversation = talk(service, request("GET", target, *lines, "Connection: close", host=host))
    (answer,) = conversation.answers
    return answer


def steady(answer: Answer) -> dict[str, str]:
    return {name: text for name, text in answer.headers.items() if not VARIABLE.fullmatch(name)}


@each("path", PATHS)
def test_an_answer_is_the_same_for_a_forged_host(
    service: RunningService, client: httpx.Client, path: str
) -> None:
    row = post(client)
    post(client)
    target = path.format(id=row["id"], genre=row["genres"][0].replace(" ", "%20"))
    honest = ask(service, f"{service.host}:{service.port}", target)
    forged = ask(service, "evil.example", target, *FORGED)
    again = ask(service, f"{service.host}:{service.port}", target)
    assert b"evil" not in forged.head
    assert b"evil.example" not in forged.body
    for other in (forged, again):
        assert (other.status, other.body) == (honest.status, honest.body)
        assert steady(other).keys() - {"cache-status"} == steady(honest).keys() - {"cache-status"}
        assert other.headers.get("etag") == honest.headers.get("etag")
    assert "location" not in forged.headers


def test_links_are_relative(service: RunningService, client: httpx.Client) -> None:
    post(client)
    post(client)
    page = ask(service, "evil.example", "/uuids?limit=1", *FORGED)
    assert page.headers["link"].startswith("<uuids?")
    headers = dict(line.split(": ", 1) for line in FORGED) | {"Host": "6.6.6.6"}
    del headers["Origin"]  # without a token a write of another origin is refused
    made = client.post("/content", json=draft(), headers=headers)
    assert made.status_code == 201
    assert made.headers["location"].startswith("content/")
    assert "evil" not in str(made.headers)
    assert "6.6.6.6" not in str(made.headers)


@each(
    "host",
    ["", "evil.example:99999", "[::1]", "a b", "a/b", "evil\xff", "x" * 3_000, "localhost:x"],
)
def test_an_odd_host_is_refused_or_ignored(service: RunningService, host: str) -> None:
    (answer,) = talk(service, request("GET", "/", "Connection: close", host=host)).answers
    assert answer.status in (200, 400)
    assert answer.headers["content-type"] == "application/json"
    assert b"evil" not in answer.head + answer.body
