"""Tracing: a span for each request of the onion, children for store and Redis, and none unasked."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import service
from bench.lab.servers import RedisServer
from bench.lab.targets import ROOT
from config import Config
from db.embedded import EmbeddedStore
from db.version import new_id
from errors import Unavailable
from middleware import tracing
from tests.http.samples import draft
from tests.http.wire import Answer, request
from tests.test_config import refusal
from tests.wire.in_process import Client, asked_of_lane, connected, serving

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED, UNSAMPLED = (f"traceparent: 00-{TRACE}-{PARENT}-{flags}" for flags in ("01", "00"))


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Of every app that is made, once it has ended."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda endpoint: exporter)
    return exporter


class Traced:
    """A service in this loop, and one connection to it."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> Answer:
        self.client.send(request(method, path, *lines, body=body))
        return await self.client.answer()

    async def make(self) -> str:
        """The path of a new row."""
        json = "Content-Type: application/json"
        made = await self.ask("POST", "/content", json, body=orjson.dumps(draft()))
        return f"/content/{made.json()['data']['id']}"


@asynccontextmanager
async def traced(folder: Path, **settings: Any) -> AsyncIterator[Traced]:
    settings |= {"otel_exporter_otlp_endpoint": "http://a", "drain_s": 0}
    config = Config(embedded_path=str(folder / "content.sqlite3"), **settings)
    async with serving(service.create_app(config)) as port, connected(port) as client:
        yield Traced(client)


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]


def children(spans: InMemorySpanExporter, span: ReadableSpan) -> list[ReadableSpan]:
    found = spans.get_finished_spans()
    return [each for each in found if each.parent and each.parent == span.context]


async def test_a_request_has_a_span_and_its_calls_of_store_and_redis_are_children(
    redis_server: RedisServer, spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    redis = {"redis_host": redis_server.host, "redis_port": redis_server.port}
    async with traced(tmp_path, **redis, redis_deadline_s=5.0) as app:
        while (await app.ask("GET", "/readyz")).json()["data"]["redis"] != "up":
            pass
        path = await app.make()
        answer = await app.ask("GET", path, "If-Match: *")  # not by the lane
    (read,) = named(spans, "GET /content/{id}")
    assert read.kind is SpanKind.SERVER
    assert read.parent is None
    assert dict(read.attributes or {}) == {
        "http.request.method": "GET",
        "url.path": path,
        "http.route": "/content/{id}",
        "http.response.status_code": 200,
        "content.layer": answer.headers["cache-status"].rpartition("=")[2],
    }
    calls = children(spans, read)
    assert [span.name for span in calls] == ["redis get", "redis lease", "embedded video"]
    assert {span.kind for span in calls} == {SpanKind.CLIENT}
    (write,) = named(spans, "POST /content")
    calls = children(spans, write)
    assert [span.name for span in calls] == ["redis intend", "embedded create", "redis settle"]
    assert read.resource.attributes["service.name"] == "content"


async def test_a_request_that_its_client_traces_leaves_the_lane_and_no_other(
    spans: InMemorySpanExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asked_of_lane(monkeypatch)
    async with traced(tmp_path, near_ttl_s=600.0) as app:
        path = await app.make()
        for lines in ((), (), (), (UNSAMPLED,), (SAMPLED,), (), (SAMPLED, "If-None-Match: *")):
            answer = await app.ask("GET", path, *lines)
            assert answer.status == (304 if len(lines) == 2 else 200)
    assert asked == [path] * 5
    first, *traces = named(spans, "GET /content/{id}")
    assert first.parent is None  # the one that put the row near
    assert len(traces) == 2
    for span in traces:
        assert span.parent
        assert f"{span.context.trace_id:032x} {span.parent.span_id:016x}" == f"{TRACE} {PARENT}"
        assert (span.attributes or {})["content.layer"] == "near"
        assert not children(spans, span)


async def test_a_load_of_the_lane_has_no_spans(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    async with traced(tmp_path, near_bytes=0) as app:
        path = await app.make()
        for _ in range(5):
            assert (await app.ask("GET", path)).status == 200
    assert len(named(spans, "GET /content/{id}")) == 1  # the first of its kind is parsed
    assert len(named(spans, "embedded video")) == 1


async def test_requests_in_one_segment_have_a_trace_each(
    spans: InMemorySpanExporter, tmp_path: Path
) -> None:
    async with traced(tmp_path, near_bytes=0) as app:
        app.client.send(request("GET", "/videos") * 3)
        for _ in range(3):
            await app.client.answer()
    found = named(spans, "GET /videos")
    assert [span.parent for span in found] == [None] * 3
    assert [len(children(spans, span)) for span in found] == [1] * 3


async def test_an_outage_is_an_error_and_an_absent_row_is_none(
    spans: InMemorySpanExporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(store: EmbeddedStore) -> str:
        raise Unavailable("gone")

    async with traced(tmp_path) as app:
        assert (await app.ask("GET", f"/content/{new_id()}")).status == 404
        monkeypatch.setattr(EmbeddedStore, "random_id", away)
        assert (await app.ask("GET", "/videos")).status == 503
    codes = {span.name: span.status.status_code for span in spans.get_finished_spans()}
    assert codes == {
        "GET /content/{id}": StatusCode.UNSET,
        "embedded video": StatusCode.UNSET,
        "GET /videos": StatusCode.ERROR,
        "embedded random_id": StatusCode.UNSET,
    }
    (call,) = named(spans, "embedded random_id")
    assert [(event.attributes or {})["exception.message"] for event in call.events] == ["gone"]


@pytest.mark.parametrize(("endpoint", "is_imported"), [(None, False), ("http://a", True)])
def test_opentelemetry_is_imported_only_if_it_is_asked_for(
    endpoint: str | None, is_imported: bool
) -> None:
    """It is absent in a process of its own, as redis-py imports it wherever it is installed."""
    absent = "import sys; sys.modules['opentelemetry'] = None; import service, config"
    made = f"service.create_app(config.Config(otel_exporter_otlp_endpoint={endpoint!r}))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{absent}; {made}"], cwd=ROOT, capture_output=True, text=True
    )
    assert (ran.returncode != 0) is is_imported, ran.stderr
    assert ("No module named 'opentelemetry" in ran.stderr) is is_imported


def test_an_endpoint_without_the_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    assert Config.from_env({ENDPOINT: "http://a:4318"}).otel_exporter_otlp_endpoint
    monkeypatch.setattr(metadata, "version", absent)
    assert refusal({ENDPOINT: "http://a:4318"}) == (
        f"{ENDPOINT} takes the extra otel: pip install 'content[otel]'"
    )
