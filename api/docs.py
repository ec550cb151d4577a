"""The contract and a page to read and try it."""

from __future__ import annotations

from collections.abc import Iterable

from api.resource import Resource
from middleware.onion import Context


class Docs:
    """``/openapi.json``, ``/docs`` and its assets."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = list(resources)

    async def contract(self, ctx: Context) -> None:
        """The contract, as OpenAPI 3.1."""

    async def page(self, ctx: Context) -> None:
        """The contract as a page."""

    async def asset(self, ctx: Context) -> None:
        """A file of the page."""
