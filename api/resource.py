"""The resources of the API: a path with a handler for each of its methods, and static files.

Starlette has one route for each method, so its 405 names only the methods of the first route. A
resource knows all methods of its path: its ``Allow`` is complete, and it answers OPTIONS and HEAD.
The files are the contract, and pages with their assets. Each is read once, at start. No other file
is served, inside or outside of these folders.
"""

import gzip
from collections.abc import Mapping, Sequence
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
ACCEPTED_MAX = 256
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
# for the pages: the browser may load nothing from another site, but may ask the named origins
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' data:; connect-src 'self'%b; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)


class Resource:
    """The ASGI endpoint of one path. The onion puts the context into a copy of the scope."""

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
        ctx.scope["path_params"] = scope["path_params"]
        if scope["path"].endswith("\n"):  # Starlette's patterns match before a final line end
            raise NotFound()
        handler = self._all.get(ctx.method)
        if handler is None:
            raise MethodNotAllowed(headers={"Allow": self.allow})
        await handler(ctx)

    async def _options(self, ctx: Context) -> None:
        ctx.status = 204
        ctx.headers = {b"allow": self.allow.encode()}
        if "PATCH" in self.handlers:
            ctx.headers[b"accept-patch"] = ", ".join(PATCH_TYPES).encode()


def asset(path: Path, more: Mapping[bytes, bytes] = {}) -> Handler:
    """Return the handler of a static file, which may be stored as gzip.

    ``more`` are headers of its answer. Compressed bytes have a tag of their own (RFC 9110,
    8.8.3.3). A file keeps its name when its content changes, so it may be kept for an hour only,
    unless ``more`` says otherwise.
    """
    stored = path.read_bytes()
    is_packed = path.suffix == ".gz"
    plain = gzip.decompress(stored) if is_packed else stored
    # without a time: the same bytes, and the same tag, on every replica
    packed = stored if is_packed else gzip.compress(stored, mtime=0)
    headers = {
        b"content-type": MEDIA[Path(_name(path)).suffix],
        b"cache-control": b"max-age=3600",
        b"vary": b"accept-encoding",
        b"x-content-type-options": b"nosniff",
        b"etag": digest(plain),
        **more,
    }
    coded = {**headers, b"etag": digest(packed), b"content-encoding": b"gzip"}
    is_smaller = len(packed) < len(plain)

    async def respond(ctx: Context) -> None:
        takes = is_smaller and takes_gzip(ctx.header(b"accept-encoding"))
        ctx.body, found = (packed, coded) if takes else (plain, headers)
        ctx.status, ctx.headers = 200, dict(found)

    return respond


def site(folder: str, path: str, origins: Sequence[str] = ()) -> list[Resource]:
    """Return the page of ``folder`` at ``path``, and the page's assets below.

    The page may send requests to ``origins``, besides its own.
    """
    files = {_name(file): file for file in (ROOM / folder).iterdir()}
    policy = POLICY % "".join(map(" {}".format, origins)).encode()
    # the page's relative links lead to the assets only from the page's own path
    page = asset(files.pop(PAGE), {b"content-security-policy": policy})
    assets = {name: asset(file) for name, file in files.items() if Path(name).suffix in MEDIA}

    async def respond(ctx: Context) -> None:
        found = assets.get(ctx.scope["path_params"]["asset"])
        if found is None:
            raise NotFound()
        await found(ctx)

    return [Resource(path, GET=page), Resource(path + "/{asset}", GET=respond)]


def _name(path: Path) -> str:
    return path.name.removesuffix(".gz")


def takes_gzip(accepted: str | None) -> bool:
    """Return whether ``Accept-Encoding`` names gzip, or *, with a weight above zero.

    A value longer than ACCEPTED_MAX is not parsed, because every client accepts the file without
    compression.
    """
    weights: dict[str, str] = {}
    if accepted is None or len(accepted) > ACCEPTED_MAX:
        return False
    for element in accepted.lower().split(","):
        coding, _, parameter = element.partition(";")
        weights[coding.strip()] = parameter.strip().removeprefix("q=") or "1"
    return weights.get("gzip", weights.get("*", "0")).strip("0.") != ""
