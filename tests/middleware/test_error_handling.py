"""Errors: one envelope, and one line in the log for what is our fault."""

import asyncio
import logging
from typing import Any

import pytest
from starlette.exceptions import HTTPException

import errors
from errors import FieldError, ServiceError
from middleware.error_handling import error_handling
from middleware.onion import Context, Handler
from tests.middleware.asgi import Sent, ask, fine, onion

VERSION = "3d3d3d3d-3d3d-11f0-8d3d-3d3d3d3d3d3d"


def loop_future() -> asyncio.Future[None]:
    return asyncio.get_running_loop().create_future()


KNOWN: list[tuple[Any, int, dict[str, str], dict[str, Any]]] = [
    (lambda: errors.BadRequest("x"), 400, {}, {}),
    (errors.Unauthorized, 401, {"www-authenticate": "Bearer"}, {}),
    (errors.Forbidden, 403, {}, {}),
    (errors.NotFound, 404, {}, {}),
    (
        lambda: errors.MethodNotAllowed(headers={"Allow": "GET, HEAD"}),
        405,
        {"allow": "GET, HEAD"},
        {},
    ),
    (errors.Conflict, 409, {"retry-after": "1"}, {}),
    (
        lambda: errors.PreconditionFailed(VERSION, '"x.1"'),
        412,
        {"etag": '"x.1"'},
        {"lastupdated": VERSION},
    ),
    (errors.TooLarge, 413, {}, {}),
    (errors.UnsupportedMediaType, 415, {}, {}),
    (
        lambda: errors.Invalid("wrong", [FieldError("a", "b"), FieldError("c", "d")]),
        422,
        {},
        {"errors": [{"field": "a", "message": "b"}, {"field": "c", "message": "d"}]},
    ),
    (errors.Unavailable, 503, {"retry-after": "1"}, {}),
    (errors.Shed, 503, {"retry-after": "1"}, {}),
    (errors.Late, 504, {}, {}),
    (lambda: errors.OutcomeUnknown(loop_future()), 504, {}, {}),
]


def raising(make: Any) -> Handler:
    async def handler(ctx: Context) -> None:
        ctx.route = "/content/{id}"
        ctx.headers |= {b"etag": b'"x"', b"cache-status": b"content; hit"}
        ctx.answer("half done", 201)
        raise make()

    return handler


async def failed(make: Any) -> Sent:
    return await ask(onion(raising(make), error_handling()))


@pytest.mark.parametrize(("make", "status", "headers", "details"), KNOWN)
async def test_a_known_error_says_its_status_text_and_headers(
    make: Any, status: int, headers: dict[str, str], details: dict[str, Any]
) -> None:
    sent = await failed(make)
    assert sent.status == status
    assert sent.json() == {"status": "failed", "message": make().message, **details}
    ours = {"content-type": "application/json", "cache-control": "no-store", **headers}
    assert {**sent.headers, **ours} == sent.headers
    assert set(sent.headers) - set(ours) <= {"content-length", "x-request-id"}


def test_every_class_of_error_is_in_the_table() -> None:
    def below(cls: type[ServiceError]) -> set[str]:
        return {cls.__name__}.union(*map(below, cls.__subclasses__()))

    async def made() -> set[str]:
        return {type(make()).__name__ for make, *_ in KNOWN}

    ours = {name for name in below(ServiceError) if getattr(errors, name, None)}
    assert ours - {"ServiceError"} <= asyncio.run(made())


@pytest.mark.parametrize(
    "make",
    [
        lambda: KeyError("secret"),
        lambda: ValueError("secret"),
        lambda: HTTPException(418, "secret"),
        ServiceError,
        lambda: ExceptionGroup("secret", [KeyError("secret")]),
    ],
)
async def test_what_nobody_foresaw_keeps_its_text(make: Any) -> None:
    sent = await failed(make)
    assert sent.status == 500
    assert sent.json() == {"status": "failed", "message": "Internal Server Error"}
    assert "secret" not in str(sent)


async def test_the_routers_own_404_has_the_envelope() -> None:
    sent = await failed(lambda: HTTPException(404, "Not here"))
    assert (sent.status, sent.json()["message"]) == (404, "Not Found")


@pytest.mark.parametrize(
    "make", [errors.Late, lambda: errors.OutcomeUnknown(loop_future()), KeyError]
)
async def test_a_500_or_504_is_logged_once_with_the_id_of_the_answer(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ids = set()
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.DEBUG):
            sent = await failed(make)
        (record,) = [each for each in caplog.records if each.name == "content"]
        is_late = sent.status == 504
        assert record.levelno == (logging.WARNING if is_late else logging.ERROR)
        assert bool(record.exc_info) is not is_late  # a late answer is one line
        assert sent.headers["x-request-id"] in record.getMessage()
        assert "/content/{id}" in record.getMessage()
        assert str(sent.status) in record.getMessage()
        ids.add(sent.headers["x-request-id"])
    assert len(ids) == 2


async def test_a_late_answer_is_logged_once_a_minute_and_route(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(ctx: Context) -> None:
        ctx.route = ctx.method  # as a path has no part in it
        raise errors.Late

    app = onion(late, error_handling())
    for pause_s, lines in ((60.0, 2), (0.0, 8)):
        monkeypatch.setattr("middleware.error_handling.PAUSE_S", pause_s)
        for method in ("GET", "HEAD") * 3:
            await ask(app, method)
        assert len([each for each in caplog.records if each.name == "content"]) == lines


@pytest.mark.parametrize(
    "make", [make for make, status, *_ in KNOWN if status < 500 or status == 503]
)
async def test_a_4xx_or_503_is_not_logged(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        sent = await failed(make)
    assert [each for each in caplog.records if each.name == "content"] == []
    assert "x-request-id" not in sent.headers


@pytest.mark.parametrize("make", [errors.Late, KeyError, errors.NotFound])
async def test_an_error_has_the_id_that_the_client_gave(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = onion(raising(make), error_handling())
    sent = await ask(app, headers=[("x-request-id", "from-the-client")])
    assert sent.headers["x-request-id"] == "from-the-client"
    assert [each.args["request_id"] for each in caplog.records if isinstance(each.args, dict)] == [
        "from-the-client"
    ] * (sent.status >= 500)


async def test_success_passes_untouched(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "content"):
        assert (await ask(onion(fine, error_handling()))) == await ask(onion(fine))
    assert caplog.records == []


@pytest.mark.parametrize(
    ("method", "has_read", "status"),
    [("GET", False, 503), ("POST", False, 503), ("PATCH", True, 504), ("DELETE", False, 504)],
)
async def test_a_request_that_is_cancelled_is_answered(
    method: str, has_read: bool, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def waits(ctx: Context) -> None:
        if has_read:
            await ctx.read(1)
        await asyncio.sleep(60)

    request = asyncio.ensure_future(ask(onion(waits, error_handling()), method))
    await asyncio.sleep(0)
    request.cancel()
    sent = await request
    assert (sent.status, sent.json()["status"]) == (status, "failed")
    assert [each for each in caplog.records if each.name == "content"] == []
