"""A page to look at: the home page as a visitor sees it, and which layer served what.

It is a client of the API like any other and no part of the contract. Off unless ``DEMO`` is set.
"""

from __future__ import annotations

from pathlib import Path

from api.assets import Site
from api.resource import Resource
from middleware.onion import Context


class Demo:
    """``/demo`` and its assets."""

    def __init__(self) -> None:
        self._site = Site(Path(__file__).parent)

    def resources(self) -> list[Resource]:
        return [
            Resource("/demo", GET=self.page),
            Resource("/demo/{asset}", GET=self.asset),
        ]

    async def page(self, ctx: Context) -> None:
        self._site.page(ctx)

    async def asset(self, ctx: Context) -> None:
        self._site.asset(ctx)
