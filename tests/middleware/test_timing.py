"""Timing: each request is counted once, under names that no caller can make."""

from __future__ import annotations

import asyncio
import re

import pytest
from prometheus_client import CollectorRegistry

from middleware.error_handling import error_handling
from middleware.onion import Context
from middleware.timing import METHODS, RequestMetrics, timing
from tests.middleware.asgi import ask, fine, onion


def counts(registry: CollectorRegistry) -> dict[tuple[str, str, str], float]:
    """Requests by (route, method, outcome), over all that other labels tell apart."""
    found: dict[tuple[str, str, str], float] = {}
    for metric in registry.collect():
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

    registry = CollectorRegistry()
    sent = await ask(onion(slow, timing(RequestMetrics(registry))))
    duration = re.match(r"total;dur=(\d+\.\d{3})", sent.headers["server-timing"])
    assert duration
    assert 20 <= float(duration[1]) < 2_000
    (metric,) = registry.collect()
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

    registry = CollectorRegistry()
    app = onion(handler, timing(RequestMetrics(registry)))
    for times in (1, 2, 3):
        await ask(app)
        assert counts(registry) == {("/content/{id}", "GET", outcome): times}


async def test_what_no_route_matched_is_unmatched() -> None:
    async def nobody(ctx: Context) -> None:
        return

    registry = CollectorRegistry()
    await ask(onion(nobody, timing(RequestMetrics(registry))))
    assert counts(registry) == {("unmatched", "GET", "client_error"): 1}


async def test_unknown_methods_are_one() -> None:
    registry = CollectorRegistry()
    app = onion(fine, timing(RequestMetrics(registry)))
    for method in (*METHODS, "PUT", "TRACE", "get", "X" * 50, "other", *map(str, range(20))):
        await ask(app, method)
    found = counts(registry)
    assert {method for _, method, _ in found} == {*METHODS, "other"}
    assert found["unmatched", "other", "ok"] == 25
    assert all(found["unmatched", method, "ok"] == 1 for method in METHODS)


async def test_a_caller_makes_the_process_keep_nothing() -> None:
    metrics = RequestMetrics(CollectorRegistry())
    app = onion(fine, timing(metrics))

    def kept() -> int:
        owners = (vars(metrics), vars(metrics._tally))
        held = [each for owner in owners for each in owner.values() if isinstance(each, dict)]
        return sum(map(len, held))

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

    registry = CollectorRegistry()
    sent = await ask(onion(fails, timing(RequestMetrics(registry)), error_handling()))
    assert sent.status == 500
    assert "server-timing" in sent.headers
    assert counts(registry) == {("/content/{id}", "GET", "server_error"): 1}


async def test_two_services_in_one_process_count_apart() -> None:
    one, other = CollectorRegistry(), CollectorRegistry()
    await ask(onion(fine, timing(RequestMetrics(one))))
    RequestMetrics(other)
    assert len(counts(one)) == 1
    assert counts(other) == {}
