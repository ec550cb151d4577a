"""Access log: a line for each request, whatever the answer, and its fields."""

import asyncio
import logging
import re
from typing import Any

import pytest

from errors import NotFound
from middleware.error_handling import error_handling
from middleware.onion import Context, Handler, Onion
from middleware.timing import access_log
from tests.middleware.asgi import ask, onion, scope_of


def logged(handler: Handler) -> Onion:
    return onion(handler, access_log, error_handling())


@pytest.fixture(autouse=True)
def target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request has this target."""

    def scope(*asked: Any) -> dict[str, Any]:
        return scope_of(*asked) | {"raw_path": b"/content/a%0Ab\xff", "query_string": b"x=%20"}

    monkeypatch.setattr("tests.middleware.asgi.scope_of", scope)


async def row(ctx: Context) -> None:
    ctx.layer = "redis"
    ctx.answer("row")


async def absent(ctx: Context) -> None:
    raise NotFound()


async def unchanged(ctx: Context) -> None:
    await row(ctx)
    ctx.status = 304


async def broken(ctx: Context) -> None:
    raise KeyError("ours")


async def cancelled(ctx: Context) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("handler", "method", "status", "layer"),
    [
        (row, "GET", 200, "redis"),
        (row, "HEAD", 200, "redis"),
        (unchanged, "GET", 304, "redis"),
        (absent, "DELETE", 404, ""),
        (broken, "GET", 500, ""),
        (cancelled, "GET", 503, ""),
    ],
)
async def test_every_answer_has_one_line_with_its_fields(
    handler: Handler, method: str, status: int, layer: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sent = await ask(logged(handler), method)
    (line,) = [each for each in caplog.records if each.name == "content.access"]
    assert isinstance(line.args, dict)
    assert 0 <= line.args["ms"] < 10_000
    assert {**line.args, "ms": 0} == {
        "method": method,
        "path": "/content/a%0Ab\\xff?x=%20",
        "status": status,
        "ms": 0,
        "layer": layer,
        "bytes": len(sent.body),
        "request_id": sent.headers["x-request-id"],
    }
    text = rf"{method} /content/a%0Ab\\xff\?x=%20 {status} ms=\d+\.\d+ layer={layer}"
    told = rf" bytes={len(sent.body)} id=[0-9a-f]{{16}}"
    assert re.fullmatch(text + told, line.getMessage())


async def test_an_error_has_one_id_in_all_its_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sent = await ask(logged(broken))
    ids = [each.args["request_id"] for each in caplog.records if isinstance(each.args, dict)]
    assert ids == [sent.headers["x-request-id"]] * 2
