"""One request through an ASGI application, without a server: what it was told, and what it sent."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from starlette.types import ASGIApp, Message

from drain import Drain
from middleware.onion import Context, Handler, Middleware, Onion


class Sent(NamedTuple):
    """A response as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


def scope_of(method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return {"type": "http", "method": method, "path": "/", "headers": raw}


def context(
    method: str = "GET", headers: Mapping[str, str] | None = None, body: Iterable[bytes] = ()
) -> Context:
    return Context(scope_of(method, (headers or {}).items()), receiver(body))


def receiver(chunks: Iterable[bytes]) -> Any:
    """Hands over the chunks; then the client is gone."""
    left = list(chunks)
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": number < len(left)}
        for number, chunk in enumerate(left, start=1)
    ]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


async def ask(app: ASGIApp, method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> Sent:
    """Fails unless there was exactly one start and one body."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope_of(method, headers), receiver([b""]), send)
    start, body = messages
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    assert not body.get("more_body", False)
    names = [name for name, _ in start["headers"]]
    assert len(names) == len(set(names))
    sent = {name.decode(): value.decode() for name, value in start["headers"]}
    return Sent(start["status"], sent, body["body"])


def onion(handler: Handler, *stack: Middleware) -> Onion:
    """The stack around one handler, which finds its context as a route's endpoint does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await handler(scope["ctx"])

    return Onion(app, stack, Drain())


async def fine(ctx: Context) -> None:
    """A handler with nothing to complain of."""
    ctx.answer("fine")
