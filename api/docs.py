"""The contract and a page to read and try it, served from this process alone.

The page is Swagger UI (``api/swagger/README.md`` says which).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from api.assets import Representation, Site
from api.openapi import contract
from api.resource import Resource
from middleware.onion import JSON, Context


class Docs:
    """``/openapi.json``, ``/docs`` and its assets; ``resources`` are all the others."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        own = [
            Resource("/openapi.json", GET=self.contract),
            Resource("/docs", GET=self.page),
            Resource("/docs/{asset}", GET=self.asset),
        ]
        self._contract = Representation.of(orjson.dumps(contract([*resources, *own])))
        self._site = Site(Path(__file__).parent / "swagger")

    async def contract(self, ctx: Context) -> None:
        """This contract, as OpenAPI 3.1."""
        ctx.status = 200
        ctx.body, tag = self._contract
        ctx.headers = {b"content-type": JSON, b"cache-control": b"no-cache", b"etag": tag}

    async def page(self, ctx: Context) -> None:
        """This contract, as a page to read and try it."""
        self._site.page(ctx)

    async def asset(self, ctx: Context) -> None:
        """A file of the page."""
        self._site.asset(ctx)
