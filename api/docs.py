"""The contract and a page to read and try it, served from this process alone.

The page is Swagger UI (``api/swagger/README.md`` says which). It loads nothing from elsewhere, and
its Content-Security-Policy forbids that anything does.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import orjson

from api.openapi import contract
from api.resource import Resource
from errors import NotFound
from middleware.onion import JSON, Context

MAX_AGE_S = 3600  # the names of the files stay when their content changes
PAGE = "page.html"
MEDIA = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".png": b"image/png",
    ".txt": b"text/plain; charset=utf-8",
}
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; "
    b"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
_FOLDER = Path(__file__).parent / "swagger"


class Representation(NamedTuple):
    """Bytes of a file and their strong tag; compressed ones have another (RFC 9110, 8.8.3.3)."""

    body: bytes
    tag: bytes

    @classmethod
    def of(cls, body: bytes) -> Representation:
        return cls(body, b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode())


class Asset:
    """A static file: as it is, and compressed when it is stored so."""

    def __init__(self, path: Path) -> None:
        name = path.name.removesuffix(".gz")
        self.media = MEDIA[Path(name).suffix]
        self.stored = Representation.of(path.read_bytes())
        self.compressed = name != path.name

    @cached_property
    def plain(self) -> Representation:
        """As it is. Few clients take no gzip, so it is unpacked for the first one that comes."""
        unpack = gzip.decompress if self.compressed else bytes
        return Representation.of(unpack(self.stored.body))

    def respond(self, ctx: Context) -> None:
        """Answers with the representation that the client takes."""
        encode = self.compressed and takes_gzip(ctx.header(b"accept-encoding"))
        ctx.status = 200
        ctx.body, tag = self.stored if encode else self.plain
        ctx.headers = {
            b"content-type": self.media,
            b"cache-control": b"max-age=%d" % MAX_AGE_S,
            b"etag": tag,
            b"vary": b"accept-encoding",
            b"x-content-type-options": b"nosniff",
        }
        if encode:
            ctx.headers[b"content-encoding"] = b"gzip"


class Docs:
    """``/openapi.json``, ``/docs`` and its assets; ``resources`` are all the others."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        own = [
            Resource("/openapi.json", GET=self.contract),
            Resource("/docs", GET=self.page),
            Resource("/docs/{asset}", GET=self.asset),
        ]
        self._contract = Representation.of(orjson.dumps(contract([*resources, *own])))
        self._assets = {
            path.name.removesuffix(".gz"): Asset(path)
            for path in sorted(_FOLDER.iterdir())
            if Path(path.name.removesuffix(".gz")).suffix in MEDIA
        }
        # only at /docs do the page's relative links lead to the assets
        self._page = self._assets.pop(PAGE)

    async def contract(self, ctx: Context) -> None:
        """This contract, as OpenAPI 3.1."""
        ctx.status = 200
        ctx.body, tag = self._contract
        ctx.headers = {b"content-type": JSON, b"cache-control": b"no-cache", b"etag": tag}

    async def page(self, ctx: Context) -> None:
        """This contract, as a page to read and try it."""
        self._page.respond(ctx)
        ctx.headers[b"content-security-policy"] = POLICY

    async def asset(self, ctx: Context) -> None:
        """A file of the page."""
        asset = self._assets.get(ctx.scope["path_params"]["asset"])
        if asset is None:
            raise NotFound()
        asset.respond(ctx)


def takes_gzip(accepted: str | None) -> bool:
    """Whether ``Accept-Encoding`` names gzip, or anything, with a weight that is not zero."""
    weights: dict[str, str] = {}
    for element in (accepted or "").lower().split(","):
        coding, _, parameter = element.partition(";")
        weights[coding.strip()] = parameter.strip().removeprefix("q=") or "1"
    return weights.get("gzip", weights.get("*", "0")).strip("0.") != ""
