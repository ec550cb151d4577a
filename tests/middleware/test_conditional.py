"""Conditional requests: which tags match, and which answers may be a 304 at all."""

from __future__ import annotations

import pytest

from middleware.conditional import conditional, matches, tags
from middleware.onion import Context, Handler
from tests.middleware.asgi import Sent, ask, onion


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ('"a"', ['"a"']),
        ('W/"a"', ['W/"a"']),
        ('"a","b"', ['"a"', '"b"']),
        ('"a" , W/"b"\t,"c"', ['"a"', 'W/"b"', '"c"']),
        ('"a,b"', ['"a,b"']),
        ('"W/"', ['"W/"']),
        ('"a", "W/", "b"', ['"a"', '"W/"', '"b"']),
        ('""', ['""']),
        ('"a", ,, "b"', ['"a"', '"b"']),
        ('"a\\"', ['"a\\"']),
        ("", []),
        ("a", []),
        ('"', []),
        ('"a', []),
        ('"a", "b', ['"a"']),
    ],
)
def test_a_list_is_taken_apart_at_its_quotes(condition: str, found: list[str]) -> None:
    assert tags(condition) == found


@pytest.mark.parametrize(
    "condition", ["*", " * ", '"a"', 'W/"a"', '"b", "a"', '"a","b"', '"a,b", W/"a"', '"", "a"']
)
def test_conditions_that_match(condition: str) -> None:
    assert matches(condition, '"a"')


@pytest.mark.parametrize(
    "condition",
    ["", "a", '"b"', '"A"', 'W/"b"', '"aa"', '"a', 'a"', '"*"', '"b,a"', '",", "b"', '"b", *'],
)
def test_conditions_that_do_not(condition: str) -> None:
    assert not matches(condition, '"a"')


def answering(status: int = 200, etag: bytes | None = b'"a"') -> Handler:
    async def handler(ctx: Context) -> None:
        ctx.answer("fine", status)
        ctx.headers[b"cache-control"] = b"no-cache"
        if etag is not None:
            ctx.headers[b"etag"] = etag

    return handler


async def asked(handler: Handler, condition: str | None, method: str = "GET") -> Sent:
    headers = [] if condition is None else [("if-none-match", condition)]
    return await ask(onion(handler, conditional()), method, headers)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_it_gets_no_body(method: str) -> None:
    sent = await asked(answering(), '"a"', method)
    assert (sent.status, sent.body) == (304, b"")
    assert sent.headers == {"cache-control": "no-cache", "etag": '"a"'}


async def test_who_has_another_or_nothing_gets_it() -> None:
    for condition in ('"b"', None, ""):
        sent = await asked(answering(), condition)
        assert (sent.status, sent.json()["data"]) == (200, "fine")
        assert sent.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_do_not_ask(method: str) -> None:
    assert (await asked(answering(), "*", method)).status == 200


@pytest.mark.parametrize("status", [201, 204, 404, 412, 500, 503])
async def test_only_a_200_may_be_current(status: int) -> None:
    assert (await asked(answering(status), "*")).status == status


async def test_what_has_no_tag_is_never_current() -> None:
    assert (await asked(answering(etag=None), "*")).status == 200
