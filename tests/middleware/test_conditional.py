"""Conditional requests: which answers may be a 304 or a 412 at all."""

import pytest

from middleware.cache_lookup import conditional
from middleware.error_handling import error_handling
from middleware.onion import Context, Handler
from tests.middleware.asgi import Sent, ask, onion


def answering(status: int = 200, etag: bytes | None = b'"a"') -> Handler:
    async def handler(ctx: Context) -> None:
        ctx.answer("fine", status)
        ctx.headers[b"cache-control"] = b"no-cache"
        if etag is not None:
            ctx.headers[b"etag"] = etag

    return handler


async def asked(
    handler: Handler, condition: str | None, method: str = "GET", if_match: str | None = None
) -> Sent:
    headers = [] if condition is None else [("if-none-match", condition)]
    headers += [] if if_match is None else [("if-match", if_match)]
    return await ask(onion(handler, error_handling(), conditional), method, headers)


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


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("condition", ['"b"', 'W/"a"', "", "a", '"a'])
async def test_a_read_whose_if_match_fails_is_a_412(method: str, condition: str) -> None:
    for other in (None, '"a"', '"b"', "*"):  # If-Match comes first (RFC 9110, 13.2.2)
        sent = await asked(answering(), other, method, if_match=condition)
        assert (sent.status, sent.headers["etag"]) == (412, '"a"')


@pytest.mark.parametrize("condition", ['"a"', "*", '"b", "a"', 'W/"a", "a"'])
async def test_a_read_whose_if_match_holds_goes_on(condition: str) -> None:
    assert (await asked(answering(), None, if_match=condition)).status == 200
    assert (await asked(answering(), '"b"', if_match=condition)).status == 200
    assert (await asked(answering(), '"a"', if_match=condition)).status == 304


@pytest.mark.parametrize("status", [201, 204, 404, 405, 500, 503])
async def test_if_match_is_not_asked_of_another_status(status: int) -> None:
    assert (await asked(answering(status), None, if_match='"b"')).status == status
