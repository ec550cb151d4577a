"""The resources of the API: a path with a handler for each of its methods, and static files.

Starlette has one route for each method, so its 405 names only the methods of the first route. A
resource knows all methods of its path: its ``Allow`` is complete, and it answers OPTIONS and HEAD.
The files are the contract, and pages with their assets. Each is read once, at start. No other file
is served, inside or outside of these folders.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from starlette.types import Receive, Scope, Send

from errors import MethodNotAllowed, NotFound
from etags import digest
from middleware.onion import JSON, Context, Handler

PATCH_TYPES = ("application/json", "application/merge-patch+json")
"""The media types of a PATCH, which is a merge patch (RFC 7396): null clears a field, and a list
replaces the whole list."""
ROOM = Path(__file__).parent
CONTRACT = ROOM / "openapi.json"
"""The contract, OpenAPI 3.1. Tests hold it against the routes, the parser and real answers."""
PAGE = "page.html"
MEDIA = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".json": JSON,
    ".png": b"image/png",
    ".svg": b"image/svg+xml",
    ".txt": b"text/plain; charset=utf-8",
}
# for the pages: the browser may load nothing from another site
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)


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


def asset(path: Path, cache_control: bytes = b"max-age=3600") -> Handler:
    """Return the handler of a static file, which may be stored as gzip.

    A file keeps its name when its content changes, so it may be kept for an hour only.
    """
    body = path.read_bytes()
    if path.suffix == ".gz":
        body = gzip.decompress(body)
    headers = {
        b"content-type": MEDIA[Path(_name(path)).suffix],
        b"cache-control": cache_control,
        b"x-content-type-options": b"nosniff",
        b"etag": digest(body),
    }
    if path.name == PAGE:
        headers[b"content-security-policy"] = POLICY

    async def respond(ctx: Context) -> None:
        ctx.status, ctx.body, ctx.headers = 200, body, dict(headers)

    return respond


def site(folder: str, path: str) -> list[Resource]:
    """Return the page of ``folder`` at ``path``, and the page's assets below."""
    files = {_name(file): file for file in (ROOM / folder).iterdir()}
    # the page's relative links lead to the assets only from the page's own path
    page = asset(files.pop(PAGE))
    assets = {name: asset(file) for name, file in files.items() if Path(name).suffix in MEDIA}

    async def respond(ctx: Context) -> None:
        found = assets.get(ctx.scope["path_params"]["asset"])
        if found is None:
            raise NotFound()
        await found(ctx)

    return [Resource(path, GET=page), Resource(path + "/{asset}", GET=respond)]


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz")
