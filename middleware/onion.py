"""The onion: Koa's middleware in Python, folded once at start-up.

A middleware is ``async def name(ctx, next)``: what it does before ``await next()`` happens on the
way in, what it does after happens on the way out. The response is a value on ``ctx`` until the
onion sends it, so every layer may still change it; a request that nobody answers is a 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import BadRequest, TooLarge
from middleware.drain import Drain

UNMATCHED = "unmatched"
JSON = b"application/json"
_FRAMING = frozenset((b"content-length", b"expect", b"transfer-encoding"))
NOT_FOUND = b'{"status":"failed","message":"Not Found"}'


class Context:
    """One request and the response it will get.

    ``headers`` are the response's, lower-case bytes to bytes. ``route`` is the template that
    matched, the only name of a path that metrics may use. ``on_read`` is told that the request's
    body is there. ``layer`` says who had the data, in the
    words of ``Cache-Status`` (RFC 9211). A handler whose response may be cached sets its
    ``Cache-Control``.
    """

    __slots__ = (
        "body",
        "headers",
        "layer",
        "method",
        "on_read",
        "receive",
        "route",
        "scope",
        "status",
        "was_read",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.route = UNMATCHED
        self.was_read = False
        self.on_read: Callable[[], None] | None = None
        self.layer = ""
        self.status = 404
        self.headers: dict[bytes, bytes] = {b"content-type": JSON, b"cache-control": b"no-store"}
        self.body = NOT_FOUND

    def header(self, name: bytes) -> str | None:
        """A request header; None when absent, a list joined by commas when sent in pieces."""
        found = [value for key, value in self.scope["headers"] if key == name]
        # not every server takes away the blanks around a value (RFC 9110, 5.5)
        return b", ".join(found).decode("latin-1").strip(" \t") if found else None

    def answer(self, data: Any, status: int = 200) -> None:
        """Answers with ``data`` in the envelope of success."""
        self.status = status
        self.body = orjson.dumps({"status": "success", "data": data})

    async def read(self, limit_bytes: int) -> bytes:
        """The request's body. Raises TooLarge before a byte above the limit is kept."""
        length = self.header(b"content-length")
        if length is not None and int(length) > limit_bytes:
            raise TooLarge()
        body = bytearray()  # pieces of a byte each would take fifty times their size
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("The body ended too early")
            chunk = message.get("body", b"")
            if len(body) + len(chunk) > limit_bytes:
                raise TooLarge()
            body += chunk
            if not message.get("more_body", False):
                self.was_read = True
                if self.on_read is not None:
                    self.on_read()
                return bytes(body)

    def _leaves_a_body(self) -> bool:
        """Whether a body was announced that may never come: it waits for an invitation, or for an
        answer that was none."""
        for name, _ in self.scope["headers"]:
            if name in _FRAMING:
                break
        else:
            return False  # nearly always
        told = dict(self.scope["headers"])
        held = self.status >= 400 or b"expect" in told
        return held and (told.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in told)

    def finish(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Return the response's headers and body, as they are sent."""
        body = self.body
        if self.status in (204, 304):
            body = b""
        elif b"content-length" not in self.headers:
            self.headers[b"content-length"] = b"%d" % len(body)
        if not self.was_read and self._leaves_a_body():
            # a client that held its body back may send a request next: it would be taken for it
            self.headers[b"connection"] = b"close"
        return list(self.headers.items()), b"" if self.method == "HEAD" else body


Next = Callable[[], Awaitable[None]]
Middleware = Callable[[Context, Next], Awaitable[None]]
Handler = Callable[[Context], Awaitable[None]]


def compose(stack: Sequence[Middleware], last: Handler) -> Handler:
    """Folds ``stack`` around ``last``, first outermost; a later change to the list is not seen."""
    handler = last
    for middleware in reversed(stack):
        if not callable(middleware):
            raise TypeError(f"a middleware has to be callable, not {middleware!r}")
        handler = _wrap(middleware, handler)
    return handler


def _wrap(middleware: Middleware, inner: Handler) -> Handler:
    def run(ctx: Context) -> Awaitable[None]:
        called = False

        def next() -> Awaitable[None]:  # noqa: A001 - Koa's name for it
            nonlocal called
            if called:
                raise RuntimeError("next() was called twice in one middleware")
            called = True
            return inner(ctx)

        return middleware(ctx, next)

    return run


class Onion:
    """The one ASGI-aware middleware: wraps the whole stack around a Starlette app's router."""

    def __init__(
        self, app: ASGIApp, stack: Sequence[Middleware], drain: Drain | None = None
    ) -> None:
        async def route(ctx: Context) -> None:
            ctx.scope["ctx"] = ctx
            try:
                await app(ctx.scope, ctx.receive, _refuse)
            finally:  # each holds the other: a thousand such a second keep the collector busy
                del ctx.scope["ctx"]

        self.app = app
        self.run = compose(stack, route)
        self.drain = drain or Drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        ctx = Context(scope, receive)
        await self.run(ctx)
        if self.drain.active:
            ctx.headers[b"connection"] = b"close"
        headers, body = ctx.finish()
        await send({"type": "http.response.start", "status": ctx.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _refuse(message: Message) -> None:
    """Stands in for ``send`` inside the onion, where a response is a value."""
    raise RuntimeError("answer by setting ctx.status and ctx.body; the onion sends")
