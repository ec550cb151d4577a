"""The onion: Koa's middleware in Python, folded once at start-up.

A middleware is ``async def name(ctx, next)``. Its code before ``await next()`` runs on the way in,
its code after that on the way out. The response is a value on ``ctx`` until the onion sends it, so
every layer may still change the response. A request without an answer is a 404.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drain import Drain
from errors import BadRequest, TooLarge

JSON = b"application/json"
REQUEST_ID = b"x-request-id"
NOT_FOUND = b'{"status":"failed","message":"Not Found"}'


class Context:
    """One request and its response.

    ``headers`` are the response's, with names in lower case. ``route`` is the template that
    matched, the only name of a path that metrics may use. ``on_read`` is called once the request's
    body was read. ``layer`` names the layer that had the data, for metrics. A handler whose
    response may be cached sets its ``Cache-Control``.
    """

    __slots__ = (
        *("method", "on_read", "receive", "scope", "was_read"),
        *("body", "headers", "layer", "route", "status"),
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.receive = receive
        self.method: str = scope["method"]
        self.route = "unmatched"
        self.was_read = False
        self.on_read: Callable[[], None] | None = None
        self.layer = ""
        self.status = 404
        self.headers: dict[bytes, bytes] = {b"content-type": JSON, b"cache-control": b"no-store"}
        self.body = NOT_FOUND

    def header(self, name: bytes) -> str | None:
        """Return a request header, None if absent. Fields of the same name are joined by commas."""
        found = None
        for key, value in self.scope["headers"]:
            if key == name:
                found = value if found is None else b"%b, %b" % (found, value)
        # not every server strips the blanks around a value (RFC 9110, 5.5)
        return None if found is None else found.decode("latin-1").strip(" \t")

    def identify(self) -> str:
        """Return the ID of the request, which the response then has as ``X-Request-Id``.

        The ID is the client's if that is 1 to 128 visible ASCII characters, else a new ID.
        """
        if REQUEST_ID not in self.headers:
            told = re.fullmatch("[!-~]{1,128}", self.header(REQUEST_ID) or "")
            self.headers[REQUEST_ID] = (told[0] if told else secrets.token_hex(8)).encode()
        return self.headers[REQUEST_ID].decode()

    def answer(self, data: Any, status: int = 200) -> None:
        """Answer with ``data`` in the envelope of success."""
        self.status = status
        self.body = orjson.dumps({"status": "success", "data": data})

    async def read(self, limit_bytes: int) -> bytes:
        """Return the request's body.

        Raise TooLarge before a byte above ``limit_bytes`` is kept, or BadRequest if the client
        disconnects.
        """
        length = self.header(b"content-length")
        if length is not None and int(length) > limit_bytes:
            raise TooLarge()
        body = bytearray()  # a list of one-byte chunks would take fifty times their size
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

    def finish(self) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Return the response's headers and body, as they are sent."""
        if self.status in (204, 304):
            self.body = b""
        elif b"content-length" not in self.headers:
            self.headers[b"content-length"] = b"%d" % len(self.body)
        told = dict(self.scope["headers"])
        has_body = told.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in told
        if has_body and not self.was_read and (self.status >= 400 or b"expect" in told):
            # the client may wait for 100 Continue, or keep the body back once it sees an error;
            # its next request would be read as that body
            self.headers[b"connection"] = b"close"
        if REQUEST_ID in told:
            self.identify()
        return list(self.headers.items()), b"" if self.method == "HEAD" else self.body


Next = Callable[[], Awaitable[None]]
Middleware = Callable[[Context, Next], Awaitable[None]]
Handler = Callable[[Context], Awaitable[None]]


def compose(stack: Sequence[Middleware], last: Handler) -> Handler:
    """Fold ``stack`` around ``last``, the first outermost. Later changes of the list are unseen."""
    inner_first = tuple(reversed(stack))

    def respond(ctx: Context) -> Awaitable[None]:
        following: Next = partial(last, ctx)
        for middleware in inner_first:
            following = partial(middleware, ctx, following)
        return following()

    return respond


class Onion:
    """The whole stack as one ASGI middleware, around the router of a Starlette app."""

    def __init__(self, app: ASGIApp, stack: Sequence[Middleware], drain: Drain) -> None:
        async def route(ctx: Context) -> None:
            # a copy, because a scope with its own ctx is a cycle, left to the garbage collector
            await app({**ctx.scope, "ctx": ctx}, ctx.receive, _refuse)

        self.app = app
        self.run = compose(stack, route)
        self.drain = drain

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
    """Raise in place of ``send`` inside the onion, where a response is a value."""
    raise RuntimeError("answer by setting ctx.status and ctx.body; the onion sends")
