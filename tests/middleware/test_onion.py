"""The onion and its context: what goes in, and the one response that comes out."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Message

from drain import Drain
from errors import BadRequest, TooLarge
from middleware.onion import NOT_FOUND, Context, Middleware, Next, Onion
from tests.middleware.asgi import ask, context, fine, onion, receiver, scope_of


async def passes(ctx: Context, inner: Next) -> None:
    await inner()


async def test_what_nobody_answers_is_not_found() -> None:
    async def silent(ctx: Context) -> None:
        return

    sent = await ask(onion(silent, passes))
    assert sent.status == 404
    assert sent.headers["content-type"] == "application/json"
    assert sent.json() == {"status": "failed", "message": "Not Found"}


async def test_an_answer_is_in_the_envelope_with_its_length() -> None:
    sent = await ask(onion(fine))
    assert (sent.status, sent.body) == (200, b'{"status":"success","data":"fine"}')
    assert sent.headers == {
        "content-type": "application/json",
        "cache-control": "no-store",  # unless the handler says otherwise
        "content-length": "34",
    }


async def test_head_has_the_length_of_the_body_it_has_not() -> None:
    get, head = await ask(onion(fine)), await ask(onion(fine), "HEAD")
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")
    assert head.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_some_statuses_have_neither_body_nor_length(status: int, method: str) -> None:
    async def handler(ctx: Context) -> None:
        ctx.answer("never sent")
        ctx.status = status

    sent = await ask(onion(handler), method)
    assert (sent.status, sent.body) == (status, b"")
    assert "content-length" not in sent.headers


async def test_every_layer_may_change_the_response_on_its_way_out() -> None:
    async def shouts(ctx: Context, inner: Next) -> None:
        await inner()
        ctx.body = ctx.body.upper()
        ctx.headers[b"x-layer"] = b"shouts"
        ctx.status += 1

    sent = await ask(onion(fine, shouts))
    assert (sent.status, sent.body) == (201, b'{"STATUS":"SUCCESS","DATA":"FINE"}')
    assert sent.headers["x-layer"] == "shouts"


async def test_a_layer_that_answers_may_omit_the_router() -> None:
    async def hit(ctx: Context, inner: Next) -> None:
        ctx.answer("hit")

    async def never(ctx: Context) -> None:
        raise AssertionError

    assert (await ask(onion(never, passes, hit))).json()["data"] == "hit"


async def test_a_handler_that_sends_by_itself_is_refused() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with pytest.raises(RuntimeError, match="the onion sends"):
        await ask(Onion(app, [], Drain()))


async def test_a_failure_that_no_layer_catches_sends_nothing() -> None:
    async def fails(ctx: Context) -> None:
        raise KeyError

    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    with pytest.raises(KeyError):
        await onion(fails)(scope_of(), receiver([]), send)
    assert messages == []


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_what_is_not_http_passes_by(kind: str) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((scope, receive, send))

    async def never(ctx: Context, inner: Next) -> None:
        raise AssertionError

    given: list[Any] = [{"type": kind}, receiver([]), fine]
    await Onion(app, [never], Drain())(*given)
    assert [one is other for one, other in zip(seen, given, strict=True)] == [True] * 3


async def test_the_stack_is_folded_once() -> None:
    class Stack(list[Middleware]):
        folded = 0

        def __reversed__(self) -> Iterator[Middleware]:
            Stack.folded += 1
            return super().__reversed__()

        def __iter__(self) -> Iterator[Middleware]:
            Stack.folded += 1
            return super().__iter__()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await fine(scope["ctx"])

    folded = Onion(app, Stack([passes, passes]), Drain())
    for _ in range(3):
        assert (await ask(folded)).status == 200
    assert Stack.folded == 1


async def test_contexts_share_nothing() -> None:
    one, other = context(), context()
    one.headers[b"x"] = b"y"
    one.answer("one")
    assert b"x" not in other.headers
    assert (other.body, other.status) == (NOT_FOUND, 404)


async def test_a_context_takes_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        context().bdoy = b""  # type: ignore[attr-defined]


def test_a_header_in_pieces_is_a_list() -> None:
    lines = [("if-match", '"a"'), ("x", "y"), ("if-match", '"b"'), ("x-empty", "")]
    ctx = Context(scope_of(headers=lines), receiver([]))
    assert ctx.header(b"if-match") == '"a", "b"'
    assert ctx.header(b"x") == "y"
    assert ctx.header(b"x-empty") == ""
    assert ctx.header(b"absent") is None


def test_a_header_of_any_bytes_can_be_read() -> None:
    lines = [("x", "\xff\x80é")]
    assert Context(scope_of(headers=lines), receiver([])).header(b"x") == "\xff\x80é"


@pytest.mark.parametrize("chunks", [[b""], [b"0123456789"], [b"01234", b"", b"56789"]])
async def test_a_body_up_to_the_limit_is_read(chunks: list[bytes]) -> None:
    assert await context(body=chunks).read(10) == b"".join(chunks)


@pytest.mark.parametrize("chunks", [[b"0" * 11], [b"0" * 10, b"1"], [b"0" * 6, b"1" * 6, b""]])
async def test_a_body_above_the_limit_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(TooLarge):
        await context(body=chunks).read(10)


async def test_a_body_that_is_announced_too_large_is_not_waited_for() -> None:
    async def receive() -> Message:
        raise AssertionError

    ctx = Context(scope_of(headers=[("content-length", "11")]), receive)
    with pytest.raises(TooLarge):
        await ctx.read(10)


async def test_no_chunk_is_asked_for_once_it_is_too_large() -> None:
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"x" * 6, "more_body": True}

    with pytest.raises(TooLarge):
        await Context(scope_of(), receive).read(10)
    assert asked == 2


@pytest.mark.parametrize("chunks", [[], [b"0123", b"4567"]])
async def test_a_client_that_goes_away_leaves_no_body(chunks: list[bytes]) -> None:
    async def receive() -> Message:
        if chunks:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": True}
        return {"type": "http.disconnect"}

    with pytest.raises(BadRequest):
        await Context(scope_of(), receive).read(10)
