"""Files of this room, served as they stand: the contract, and pages with their assets.

Each file is read once, at start. No other file is served, inside or outside of these folders.
"""

from __future__ import annotations

import gzip
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from api.resource import Resource
from errors import NotFound
from etags import digest
from middleware.onion import JSON, Context

ROOM = Path(__file__).parent
CONTRACT = ROOM / "openapi.json"
"""The contract, OpenAPI 3.1. Tests hold it against the routes, the parser and real answers."""
MAX_AGE_S = 3600  # a file keeps its name when its content changes
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
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)


class Representation(NamedTuple):
    """The bytes of a file and their strong tag. Compressed bytes have a tag of their own
    (RFC 9110, 8.8.3.3)."""

    body: bytes
    tag: bytes

    @classmethod
    def of(cls, body: bytes) -> Representation:
        """Return ``body`` with its tag."""
        return cls(body, digest(body))


class Asset:
    """A static file, which may be stored as gzip. Each representation is made for the first client
    that accepts it."""

    def __init__(self, path: Path, cache_control: bytes = b"max-age=%d" % MAX_AGE_S) -> None:
        name = path.name.removesuffix(".gz")
        self._media = MEDIA[Path(name).suffix]
        self._cache_control = cache_control
        self._stored = path.read_bytes()
        self._is_stored_packed = name != path.name

    @cached_property
    def plain(self) -> Representation:
        """The file without compression."""
        unpack = gzip.decompress if self._is_stored_packed else bytes
        return Representation.of(unpack(self._stored))

    @cached_property
    def packed(self) -> Representation | None:
        """The file as gzip; None if gzip saves nothing."""
        if self._is_stored_packed:
            return Representation.of(self._stored)
        body = gzip.compress(self._stored, mtime=0)  # the same bytes, and tag, on every replica
        return Representation.of(body) if len(body) < len(self._stored) else None

    async def respond(self, ctx: Context) -> None:
        """Answer with the representation that the client accepts."""
        packed = self.packed if takes_gzip(ctx.header(b"accept-encoding")) else None
        ctx.status = 200
        ctx.body, tag = packed or self.plain
        ctx.headers = {
            b"content-type": self._media,
            b"cache-control": self._cache_control,
            b"etag": tag,
            b"vary": b"accept-encoding",
            b"x-content-type-options": b"nosniff",
        }
        if packed:
            ctx.headers[b"content-encoding"] = b"gzip"


class Site:
    """The page of a folder and its assets. The page's Content-Security-Policy forbids the browser
    to load anything from another site."""

    def __init__(self, folder: str) -> None:
        self._assets = {
            path.name.removesuffix(".gz"): Asset(path)
            for path in sorted((ROOM / folder).iterdir())
            if Path(path.name.removesuffix(".gz")).suffix in MEDIA
        }
        # the page's relative links lead to the assets only from the page's own path
        self._page = self._assets.pop(PAGE)

    def resources(self, path: str) -> list[Resource]:
        """Return the page at ``path``, and its assets below."""
        return [
            Resource(path, GET=self.page),
            Resource(path + "/{asset}", GET=self.asset),
        ]

    async def page(self, ctx: Context) -> None:
        """Answer with the page."""
        await self._page.respond(ctx)
        ctx.headers[b"content-security-policy"] = POLICY

    async def asset(self, ctx: Context) -> None:
        """Answer with the file that the path names. Raise NotFound if there is no such file."""
        asset = self._assets.get(ctx.scope["path_params"]["asset"])
        if asset is None:
            raise NotFound()
        await asset.respond(ctx)


def takes_gzip(accepted: str | None) -> bool:
    """Return whether ``Accept-Encoding`` names gzip, or *, with a weight above zero. A value longer
    than ACCEPTED_MAX is not parsed, because every client accepts the file without compression."""
    weights: dict[str, str] = {}
    if accepted is None or len(accepted) > ACCEPTED_MAX:
        return False
    for element in accepted.lower().split(","):
        coding, _, parameter = element.partition(";")
        weights[coding.strip()] = parameter.strip().removeprefix("q=") or "1"
    return weights.get("gzip", weights.get("*", "0")).strip("0.") != ""
