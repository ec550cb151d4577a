"""Spans on their way to a collector that is there, silent or away."""

import logging
import socket
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from middleware import tracing
from tests.http.service import running
from tests.workers_world import alone, get, until, workers

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Collector(ThreadingHTTPServer):
    """Keeps the requests that it gets."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), Posted)


class Posted(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_every_worker_sends_its_last_spans_before_it_ends(
    collector: Collector, tmp_path: Path
) -> None:
    settings = {
        ENDPOINT: f"http://127.0.0.1:{collector.server_port}/",
        "OTEL_BSP_SCHEDULE_DELAY": "600000",  # so all are the last
        "OTEL_SERVICE_NAME": "edge",
        "WORKERS": "2",
        "DRAIN_S": "0",
    }
    with running(settings, tmp_path) as site:
        until(lambda: len(workers(site)) == 2)
        for worker in workers(site):
            with alone(site, worker):
                assert get(site, "/home").status_code == 200
        assert not collector.requests
    sent = [each for request in collector.requests for each in request.resource_spans]
    names = {item.value.string_value for each in sent for item in each.resource.attributes}
    assert "edge" in names
    assert "content" not in names
    homes = [
        span.name
        for each in sent
        for scope in each.scope_spans
        for span in scope.spans
        if span.name == "GET /home"
    ]
    assert len(homes) == 2
    assert len(collector.requests) == 2
    assert "Traceback" not in site.log()


def test_a_collector_that_is_silent_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = {ENDPOINT: endpoint, "DRAIN_S": "0", "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        settings["OTEL_EXPORTER_OTLP_TIMEOUT"] = "600"  # longer than the test may take
        with running(settings, tmp_path) as site:
            assert get(site, "/home").status_code == 200
            began = time.monotonic()
            site.terminate()
            assert site.wait() == 0
            assert time.monotonic() - began > tracing.FLUSH_S
            assert "Traceback" not in site.log()


def test_a_collector_that_is_away_costs_a_line_for_each_batch(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")  # for two tries
    logging.getLogger("opentelemetry.exporter").setLevel(logging.NOTSET)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and no listen
        away = tracing.Tracing(f"http://127.0.0.1:{closed.getsockname()[1]}")
        away.tracer.start_span("lost").end()
        away._provider.shutdown()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
