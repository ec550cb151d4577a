"""Admission: hovers go first under overload, and nothing else does."""

import asyncio
import logging
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from errors import Shed
from middleware.admission import ARRIVED, LAG_S, admission
from middleware.error_handling import error_handling
from middleware.onion import Context, Handler, Onion
from priority import urgent
from tests.middleware.asgi import Sent, fine, onion, receiver, scope_of

HOVER, CLICK = ("priority", "u=5"), ("priority", "u=1")


class Overload:
    """An onion that may be congested, and what it counted."""

    def __init__(self, handler: Handler = fine, congested: bool = True) -> None:
        self.registry = CollectorRegistry()
        self.congested = congested
        layer = admission(lambda: self.congested, self.registry)
        self.app: Onion = onion(handler, error_handling(), layer)

    async def ask(
        self, *headers: tuple[str, str], method: str = "GET", path: str = "/", age_s: float = 0.0
    ) -> Sent:
        arrived_s = asyncio.get_running_loop().time() - age_s
        scope = scope_of(method, headers) | {"path": path, ARRIVED: arrived_s}
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receiver([b""]), send)
        names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Sent(sent[0]["status"], names, sent[1]["body"])

    def shed(self, kind: str) -> float | None:
        return self.registry.get_sample_value("content_shed_total", {"kind": kind})


async def test_hovers_are_refused_while_the_store_is_congested_and_say_when_to_come_back() -> None:
    at = Overload()
    sent = await at.ask(HOVER)
    assert (sent.status, sent.headers["retry-after"]) == (503, "1")
    assert sent.json() == {"status": "failed", "message": Shed.message}
    assert (await at.ask(("sec-purpose", "prefetch"))).status == 503
    at.congested = False
    assert (await at.ask(HOVER)).status == 200
    assert (at.shed("hover"), at.shed("click")) == (2, 0)


async def test_a_refused_hover_is_not_said_to_be_urgent() -> None:
    async def unreached() -> None:
        raise AssertionError

    layer = admission(lambda: True, CollectorRegistry())
    hover = Context(scope_of("GET", (HOVER,)) | {"path": "/", ARRIVED: 0.0}, receiver([b""]))
    with pytest.raises(Shed) as refused:
        await layer(hover, unreached)
    assert not refused.value.was_urgent


async def test_clicks_writes_and_probes_are_let_pass() -> None:
    at = Overload()
    assert (await at.ask(CLICK)).status == 200
    assert (await at.ask()).status == 200
    assert (await at.ask(HOVER, method="PATCH")).status == 200
    assert (await at.ask(HOVER, path="/healthz")).status == 200
    assert (at.shed("hover"), at.shed("click")) == (0, 0)


async def test_a_hover_that_waited_for_the_process_is_refused_and_a_click_is_not() -> None:
    at = Overload(congested=False)
    assert (await at.ask(HOVER, age_s=LAG_S + 0.05)).status == 503
    assert (await at.ask(HOVER, age_s=LAG_S / 2)).status == 200
    assert (await at.ask(CLICK, age_s=LAG_S + 0.05)).status == 200


async def test_what_waits_further_in_knows_how_urgent_it_is() -> None:
    seen: list[bool] = []

    async def handler(ctx: Context) -> None:
        seen.append(urgent.get())
        ctx.answer("fine")

    at = Overload(handler, congested=False)
    for headers in ((HOVER,), (CLICK,), ()):
        await asyncio.create_task(at.ask(*headers))  # a request is a task of its own
    assert seen == [False, True, True]


async def test_a_click_that_a_hover_began_is_a_click() -> None:
    """A pipelined request is made a task by the one before it, in whose context."""
    seen: list[bool] = []

    async def handler(ctx: Context) -> None:
        seen.append(urgent.get())
        ctx.answer("fine")

    at = Overload(handler, congested=False)
    for headers, method in ((HOVER, "GET"), (CLICK, "GET"), (HOVER, "GET"), (HOVER, "PATCH")):
        await at.ask(headers, method=method)
    assert seen == [False, True, False, True]


async def test_what_is_refused_further_in_is_counted_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(ctx: Context) -> None:
        raise Shed()

    caplog.set_level(logging.DEBUG)
    at = Overload(handler, congested=False)
    for headers in ((HOVER,), (CLICK,)):
        assert (await asyncio.create_task(at.ask(*headers))).status == 503
    assert (at.shed("hover"), at.shed("click")) == (1, 1)
    assert [record for record in caplog.records if record.name == "content"] == []
