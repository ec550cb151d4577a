"""Probes, metrics and the welcome: what operators ask, and what no caller can spoil."""

import re
import time
import uuid
from collections.abc import Callable

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.samples import data, draft, failure, genre_name, post
from tests.http.wire import BOUND_S

TEMPLATES = {
    *("/", "/content", "/content/{id}", "/content/genre/{genre:path}", "/home", "/videos"),
    *(
        "/uuids",
        "/genres",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/docs/{asset}",
    ),
    "unmatched",
}
METHODS = {"GET", "HEAD", "OPTIONS", "PATCH", "POST", "DELETE", "other"}


def counts(client: httpx.Client) -> dict[tuple[str, str, str], float]:
    """Requests by (route, method, outcome), over all that other labels tell apart."""
    found: dict[tuple[str, str, str], float] = {}
    lines = client.get("/metrics").text.splitlines(keepends=True)
    counters = "".join(line for line in lines if line.startswith("content_request_seconds_count"))
    for family in text_string_to_metric_families(counters):
        for sample in family.samples:
            labels = sample.labels
            key = (labels["route"], labels["method"], labels["outcome"])
            found[key] = found.get(key, 0) + sample.value
    return found


def counted(client: httpx.Client, *key: str) -> float:
    return counts(client).get((key[0], key[1], key[2]), 0)


def test_the_service_says_which_it_is(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.headers["content-type"] == "application/json"
    expected = b'{"status":"success","message":"Content Microservice for Netflix"}'
    assert (answer.status_code, answer.content) == (200, expected)


def test_it_is_alive(client: httpx.Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b'{"status":"success"}')
    assert answer.headers["cache-control"] == "no-store"


def test_it_is_ready_with_the_state_of_each_dependency(client: httpx.Client) -> None:
    """Redis is connected after the store is, which has its identity. No start waits for that."""
    deadline = time.monotonic() + BOUND_S
    while (state := data(answer := client.get("/readyz")))["redis"] == "down":
        assert (state["state"], state["store"]) == ("degraded", "up")
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
    assert state["state"] == "ready"
    assert state["store"] == "up"
    assert state["redis"] in ("up", "off")
    assert answer.headers["cache-control"] == "no-store"


def test_metrics_are_prometheus_text(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert "# TYPE content_request_seconds histogram" in answer.text
    for name, kind in (("bytes", "gauge"), ("entries", "gauge"), ("evictions_total", "counter")):
        assert f"# TYPE content_near_{name} {kind}" in answer.text


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_metrics_are_gzip_for_a_client_that_accepts_it(client: httpx.Client, coding: str) -> None:
    answer = client.get("/metrics", headers={"Accept-Encoding": coding})
    assert answer.headers.get("content-encoding", "identity") == coding
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.text.endswith("\n")
    assert int(answer.headers["content-length"]) < len(answer.text) / 4 or coding == "identity"


def test_each_request_is_counted_once_under_its_template(client: httpx.Client) -> None:
    row = post(client)
    cases: list[tuple[tuple[str, str, str], Callable[[], httpx.Response]]] = [
        (("/content/{id}", "GET", "ok"), lambda: client.get(f"/content/{row['id']}")),
        (("/content", "GET", "ok"), lambda: client.get(f"/content?videoId={row['id']}")),
        (("/content/{id}", "HEAD", "ok"), lambda: client.head(f"/content/{row['id']}")),
        (
            ("/content/{id}", "GET", "not_modified"),
            lambda: client.get(f"/content/{row['id']}", headers={"If-None-Match": "*"}),
        ),
        (("/content/{id}", "GET", "client_error"), lambda: client.get(f"/content/{uuid.uuid4()}")),
        (("/content", "POST", "ok"), lambda: client.post("/content", json=draft())),
        (("/content", "POST", "client_error"), lambda: client.post("/content", json={})),
        (("/content/{id}", "OPTIONS", "ok"), lambda: client.options("/content/x")),
        (("unmatched", "GET", "client_error"), lambda: client.get(f"/{uuid.uuid4()}")),
        (("/home", "other", "client_error"), lambda: client.put("/home")),
        (("unmatched", "other", "client_error"), lambda: client.request("PURGE", "/x/y")),
    ]
    for key, ask in cases:
        before = counted(client, *key)
        ask()
        assert counted(client, *key) == before + 1, key


def test_no_caller_makes_a_label(client: httpx.Client) -> None:
    marks = [uuid.uuid4().hex for _ in range(4)]
    client.get(f"/{marks[0]}")
    client.get(f"/content/{marks[1]}")
    client.get(f"/content/genre/{marks[2]}?x={marks[3]}")
    client.get(f"/content/genre/{genre_name(marks[3])}")
    client.get("/" + "x" * 5_000)
    for method in ("PUT", "TRACE", "PROPFIND", "MKCOL", "LOCK"):
        client.request(method, f"/content/{marks[1]}")
    text = client.get("/metrics").text
    assert not [mark for mark in marks if mark in text]
    assert "x" * 100 not in text
    assert {route for route, _, _ in counts(client)} <= TEMPLATES
    assert {method for _, method, _ in counts(client)} <= METHODS


def test_every_answer_says_how_long_it_took(client: httpx.Client) -> None:
    for url in ("/", "/content/x", "/nowhere", "/home", "/healthz", "/metrics", "/openapi.json"):
        duration = re.fullmatch(
            r"total;dur=(\d+\.\d+)", client.get(url).headers["server-timing"].split(",")[0]
        )
        assert duration
        assert float(duration[1]) < 20_000


@pytest.mark.parametrize("url", ["/openapi.json", "/docs"])
def test_the_contract_and_its_page_are_served(client: httpx.Client, url: str) -> None:
    answer = client.get(url)
    assert answer.status_code == 200
    again = client.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    failure(client.get("/docs/nothing"), 404)
    failure(client.get("/docs/..%2f..%2fservice.py"), 404)
