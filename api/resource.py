"""A resource: one path, with a handler for each of its methods.

Starlette has one route for each method, so its 405 names only the methods of the first route. A
resource knows all methods of its path: its ``Allow`` is complete, and it answers OPTIONS and HEAD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from errors import MethodNotAllowed
from middleware.onion import Context, Handler

PATCH_TYPES = ("application/json", "application/merge-patch+json")
"""The media types of a PATCH, which is a merge patch (RFC 7396): null clears a field, and a list
replaces the whole list."""


class Resource:
    """The ASGI endpoint of one path. The onion puts the request's context into the scope."""

    def __init__(self, template: str, **handlers: Handler) -> None:
        self.template = template
        self.handlers = handlers
        self._all: dict[str, Handler] = {**handlers, "OPTIONS": self._options}
        if "GET" in handlers:
            self._all["HEAD"] = handlers["GET"]
        self.allow = ", ".join(sorted(self._all))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ctx: Context = scope["ctx"]
        ctx.route = self.template
        handler = self._all.get(ctx.method)
        if handler is None:
            raise MethodNotAllowed(self.allow)
        await handler(ctx)

    async def _options(self, ctx: Context) -> None:
        ctx.status = 204
        ctx.headers = {b"allow": self.allow.encode()}
        if "PATCH" in self.handlers:
            ctx.headers[b"accept-patch"] = ", ".join(PATCH_TYPES).encode()


def routes(resources: Iterable[Resource]) -> list[Route]:
    """Return Starlette's route table of ``resources``; the first match wins."""
    table = [Route(resource.template, resource) for resource in resources]
    for route in table:
        # Starlette's ``$`` also matches before a final line end, and its ``.`` matches no line end
        pattern = route.path_regex.pattern.removesuffix("$") + r"\Z"
        route.path_regex = re.compile(pattern, re.DOTALL)
    return table
