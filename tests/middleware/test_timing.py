"""Timing: each request is counted once, under names that no caller can make."""

import asyncio
import re

import pytest
from prometheus_client import CollectorRegistry, Metric

from metrics import BUCKETS_S, Publisher
from middleware.error_handling import error_handling
from middleware.onion import Context
from middleware.timing import METHODS, RequestMetrics, timing
from tests.middleware.asgi import ask, fine, onion


class Metrics(RequestMetrics):
    """In a registry of their own, and published before each look."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        super().__init__(self._registry)

    def collect(self) -> list[Metric]:
        self.publish()
        return [*self._registry.collect()]


def counts(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    """Requests by (route, method, outcome), over all that other labels tell apart."""
    found: dict[tuple[str, str, str], float] = {}
    for metric in metrics.collect():
        for sample in metric.samples:
            if sample.name == "content_request_seconds_count":
                labels = sample.labels
                key = (labels["route"], labels["method"], labels["outcome"])
                found[key] = found.get(key, 0) + sample.value
    return found


async def test_an_answer_says_how_long_it_took_in_milliseconds() -> None:
    async def slow(ctx: Context) -> None:
        await asyncio.sleep(0.02)
        ctx.answer("late")

    metrics = Metrics()
    sent = await ask(onion(slow, timing(metrics)))
    duration = re.match(r"total;dur=(\d+\.\d{3})", sent.headers["server-timing"])
    assert duration
    assert 20 <= float(duration[1]) < 2_000
    (metric,) = metrics.collect()
    seconds = sum(each.value for each in metric.samples if each.name.endswith("_seconds_sum"))
    assert seconds == pytest.approx(float(duration[1]) / 1_000, abs=0.001)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *((200, "ok"), (201, "ok"), (204, "ok"), (304, "not_modified"), (308, "redirect")),
        *((400, "client_error"), (404, "client_error"), (431, "client_error")),
        *((500, "server_error"), (503, "server_error"), (504, "server_error")),
    ],
)
async def test_a_status_is_counted_by_its_kind(status: int, outcome: str) -> None:
    async def handler(ctx: Context) -> None:
        ctx.route, ctx.status = "/content/{id}", status

    metrics = Metrics()
    app = onion(handler, timing(metrics))
    for times in (1, 2, 3):
        await ask(app)
        assert counts(metrics) == {("/content/{id}", "GET", outcome): times}


async def test_what_no_route_matched_is_unmatched() -> None:
    async def nobody(ctx: Context) -> None:
        return

    metrics = Metrics()
    await ask(onion(nobody, timing(metrics)))
    assert counts(metrics) == {("unmatched", "GET", "client_error"): 1}


async def test_unknown_methods_are_one() -> None:
    metrics = Metrics()
    app = onion(fine, timing(metrics))
    for method in (*METHODS, "PUT", "TRACE", "get", "X" * 50, "other", *map(str, range(20))):
        await ask(app, method)
    found = counts(metrics)
    assert {method for _, method, _ in found} == {*METHODS, "other"}
    assert found["unmatched", "other", "ok"] == 25
    assert all(found["unmatched", method, "ok"] == 1 for method in METHODS)


async def test_a_caller_makes_the_process_keep_nothing() -> None:
    metrics = Metrics()
    app = onion(fine, timing(metrics))

    def kept() -> int:
        held = [each for each in vars(metrics).values() if isinstance(each, dict)]
        return sum(map(len, held)) + len(counts(metrics))

    await ask(app, "X0")
    before = kept()
    assert before
    for number in range(50):
        await ask(app, f"X{number}")
    assert kept() == before


async def test_a_failure_is_counted_as_it_is_answered() -> None:
    async def fails(ctx: Context) -> None:
        ctx.route = "/content/{id}"
        raise KeyError

    metrics = Metrics()
    sent = await ask(onion(fails, timing(metrics), error_handling()))
    assert sent.status == 500
    assert "server-timing" in sent.headers
    assert counts(metrics) == {("/content/{id}", "GET", "server_error"): 1}


async def test_two_services_in_one_process_count_apart() -> None:
    one, other = Metrics(), Metrics()
    await ask(onion(fine, timing(one)))
    assert len(counts(one)) == 1
    assert counts(other) == {}


def test_a_scrape_has_the_series_of_a_histogram_and_no_other() -> None:
    Publisher()  # which leaves out the times of creation
    metrics = Metrics()
    for seconds in (0.000008, 0.0004, 0.0005, 0.3, 7.0):
        metrics.observe("/", "GET", 200, seconds, "")
    (metric,) = metrics.collect()
    labels = {"route": "/", "method": "GET", "outcome": "ok", "layer": ""}
    assert all(labels.items() <= each.labels.items() for each in metric.samples)
    bounds = {each.labels["le"]: each.value for each in metric.samples if "le" in each.labels}
    below = {str(each): 1.0 if each < 0.0005 else 3.0 for each in BUCKETS_S}
    assert bounds == {**below, "0.5": 4.0, "1.0": 4.0, "2.5": 4.0, "+Inf": 5.0}
    assert "1e-05" in bounds
    others = {each.name: each.value for each in metric.samples if "le" not in each.labels}
    assert others == {
        "content_request_seconds_count": 5.0,
        "content_request_seconds_sum": pytest.approx(7.300908),
    }
