"""Rows for the tests of the stores, and the little that they ask of a store again and again."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import Any

from db.store import CatalogueStore, Stored
from db.version import make_version, new_id
from db.video import build, parse_draft
from errors import NotFound

LONG_AGO_US = 1_420_070_400_000_000
"""The first of January 2015, in microseconds since 1970: when the loader's rows were added."""


def genre_name() -> str:
    """A genre that no other test has."""
    return f"genre {uuid.uuid4()}"


def draft(*genres: str, **fields: Any) -> dict[str, Any]:
    """What a POST of these fields says, checked and complete."""
    given = {"title": "A title", "genres": list(genres) or [genre_name()], "isMovie": True}
    return parse_draft(given | fields)


def loaded(created: str, *genres: str, lastupdated: str | None = None, **fields: Any) -> Stored:
    """A row as the loader hands it over."""
    return Stored(build(new_id(), lastupdated or created, draft(*genres, **fields)), created)


def long_ago(after_us: int = 0) -> str:
    """A timeuuid of then."""
    return make_version(LONG_AGO_US + after_us, os.urandom(8))


async def listed(store: CatalogueStore, genre: str) -> list[str]:
    """A genre's list; an absent one is empty."""
    try:
        return await store.genre(genre)
    except NotFound:
        return []


async def walk(store: CatalogueStore, *limits: int) -> list[str]:
    """Every id, in pages of these sizes in turn."""
    found: list[str] = []
    for limit in cycle(limits):
        page = await store.ids(found[-1] if found else None, limit)
        assert len(page) <= limit
        if not page:
            return found
        found += page
    raise AssertionError


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for an effect of the store or its server, however slow the machine is."""
    async with asyncio.timeout(90.0):
        while not await holds():  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.02)
