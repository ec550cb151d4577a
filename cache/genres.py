"""The list of genres: one small value, kept in this process and refreshed in the background."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection

from cache.keys import genre_of, is_list
from cache.reads import FAILURES, GRACE_S, LIST_TTL_S
from cache.singleflight import Flight, SingleFlight
from db.background import Background

PATIENCE_S = 1.0
"""How long a request with an old list at hand waits for the store. Its own deadline is 1.5 s."""


class Genres:
    """Keeps the names that ``read`` returns. ``reads.py`` says when an old list is served."""

    def __init__(self, read: Callable[[], Awaitable[list[str]]]) -> None:
        self._read = read
        self._flight: SingleFlight[list[str]] = SingleFlight()
        self._names: list[str] = []
        self._touched: set[str] = set()
        self._read_at = float("-inf")
        self._refreshes = Background()

    @property
    def fresh(self) -> list[str]:
        """Return every genre, sorted, if ``names`` would neither wait nor start a read.

        Else return an empty list.
        """
        age_s = time.monotonic() - self._read_at
        return self._names if age_s <= LIST_TTL_S + GRACE_S * bool(self._flight) else []

    async def names(self) -> list[str]:
        """Return every genre, sorted. Raise the error of ``read`` if there is no older list."""
        past_s = time.monotonic() - self._read_at - LIST_TTL_S
        if past_s <= 0:
            return self._names
        if self._names and past_s <= GRACE_S:
            if not self._flight:
                self._refreshes.spawn(self._flight.do("", self._load))
            return self._names
        try:
            async with asyncio.timeout(PATIENCE_S if self._names else None):
                return (await self._flight.do("", self._load))[0]
        except (*FAILURES, TimeoutError):
            if not self._names:
                raise
            return self._names

    def forget(self, keys: Collection[str]) -> None:
        """Learn of a write to ``keys``.

        If it added a genre, the next call of ``names`` reads the store, so this worker lists the
        genre at once. A genre that lost its last row stays listed until the next refresh, because a
        read after every write would delay home pages.
        """
        listed = {genre_of(key) for key in keys if is_list(key)}
        if listed <= set(self._names):
            # 1. A read of the store finds no row of a genre. 2. This write adds a row. 3. The read
            # ends: ``_load`` finds the genre touched and missing, so the next caller reads again.
            self._touched |= listed
        else:
            self._flight.forget("")
            self._read_at = float("-inf")

    async def _load(self, flight: Flight) -> list[str]:
        started = time.monotonic()
        self._touched.clear()
        names = await self._read()
        if flight.current:
            self._names = names
            self._read_at = started if self._touched <= set(names) else float("-inf")
        return names
