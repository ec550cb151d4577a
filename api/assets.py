"""Pages that are files of this repository: a page and what it loads, out of one folder.

They are read once, at start; nothing else in the folder is served, nor anything outside it.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from errors import NotFound
from middleware.onion import Context

MAX_AGE_S = 3600  # the names of the files stay when their content changes
ACCEPTED_MAX = 256
PAGE = "page.html"
MEDIA = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
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
    """Bytes of a file and their strong tag; compressed ones have another (RFC 9110, 8.8.3.3)."""

    body: bytes
    tag: bytes

    @classmethod
    def of(cls, body: bytes) -> Representation:
        return cls(body, b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode())


class Asset:
    """A static file, as it is and compressed, however it is stored; each is made for the first
    client that takes it."""

    def __init__(self, path: Path) -> None:
        name = path.name.removesuffix(".gz")
        self.media = MEDIA[Path(name).suffix]
        self._stored = path.read_bytes()
        self._is_stored_packed = name != path.name

    @cached_property
    def plain(self) -> Representation:
        """As it is."""
        unpack = gzip.decompress if self._is_stored_packed else bytes
        return Representation.of(unpack(self._stored))

    @cached_property
    def packed(self) -> Representation | None:
        """As gzip; None when that saves nothing."""
        if self._is_stored_packed:
            return Representation.of(self._stored)
        body = gzip.compress(self._stored, mtime=0)  # the same bytes, and tag, on every replica
        return Representation.of(body) if len(body) < len(self._stored) else None

    def respond(self, ctx: Context) -> None:
        """Answers with the representation that the client takes."""
        packed = self.packed if takes_gzip(ctx.header(b"accept-encoding")) else None
        ctx.status = 200
        ctx.body, tag = packed or self.plain
        ctx.headers = {
            b"content-type": self.media,
            b"cache-control": b"max-age=%d" % MAX_AGE_S,
            b"etag": tag,
            b"vary": b"accept-encoding",
            b"x-content-type-options": b"nosniff",
        }
        if packed:
            ctx.headers[b"content-encoding"] = b"gzip"


class Site:
    """The page of ``folder`` and its assets. The page loads nothing from elsewhere, and its
    Content-Security-Policy forbids that anything does."""

    def __init__(self, folder: Path) -> None:
        self._assets = {
            path.name.removesuffix(".gz"): Asset(path)
            for path in sorted(folder.iterdir())
            if Path(path.name.removesuffix(".gz")).suffix in MEDIA
        }
        # only at its own path do the page's relative links lead to the assets
        self._page = self._assets.pop(PAGE)

    def page(self, ctx: Context) -> None:
        """Answers with the page."""
        self._page.respond(ctx)
        ctx.headers[b"content-security-policy"] = POLICY

    def asset(self, ctx: Context) -> None:
        """Answers with the file that the path names; raises NotFound."""
        asset = self._assets.get(ctx.scope["path_params"]["asset"])
        if asset is None:
            raise NotFound()
        asset.respond(ctx)


def takes_gzip(accepted: str | None) -> bool:
    """Whether ``Accept-Encoding`` names gzip, or anything, with a weight that is not zero. One
    longer than ACCEPTED_MAX is not read, because the file as it is suits everybody."""
    weights: dict[str, str] = {}
    if accepted is None or len(accepted) > ACCEPTED_MAX:
        return False
    for element in accepted.lower().split(","):
        coding, _, parameter = element.partition(";")
        weights[coding.strip()] = parameter.strip().removeprefix("q=") or "1"
    return weights.get("gzip", weights.get("*", "0")).strip("0.") != ""
