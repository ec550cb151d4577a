"""The list of genres: one small value, kept in the process and read again in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from cache.keys import genre_of, is_list
from cache.singleflight import Flight, SingleFlight
from cache.staleness import FAILURES, GRACE_S, LIST_TTL_S, may_answer

PATIENCE_S = 1.0
"""A read of the store that takes longer has failed: the reader's own deadline is 1.5 s."""


class Genres:
    """Names that ``read`` gets from the store; ``staleness.py`` says when old ones are served."""

    def __init__(self, read: Callable[[], Awaitable[list[str]]]) -> None:
        self._read = read
        self._flight: SingleFlight[list[str]] = SingleFlight()
        self._names: list[str] = []
        self._known: frozenset[str] = frozenset()
        self._touched: set[str] = set()
        self._read_at = float("-inf")
        self._refresh: asyncio.Task[Any] | None = None

    @property
    def fresh(self) -> list[str]:
        """Every genre, sorted, as ``names`` would say without waiting and with nothing to begin;
        empty when it has to be asked."""
        age_s = time.monotonic() - self._read_at
        return self._names if age_s <= LIST_TTL_S + GRACE_S * bool(self._flight) else []

    async def names(self) -> list[str]:
        """Every genre, sorted; raises what ``read`` raised while there never was a list."""
        past_s = time.monotonic() - self._read_at - LIST_TTL_S
        if past_s <= 0:
            return self._names
        if self._names and may_answer(past_s, store_is_up=True):
            if not self._flight:
                self._refresh = asyncio.create_task(self._flight.do("", self._load))
                self._refresh.add_done_callback(_seen)
            return self._names
        try:
            async with asyncio.timeout(PATIENCE_S if self._names else None):
                return (await self._flight.do("", self._load))[0]
        except (*FAILURES, TimeoutError):
            if not self._names:
                raise
            return self._names

    def forget(self, keys: Collection[str]) -> None:
        """A write touched these: of a genre that is new the worker that wrote sees it at once. One
        that has lost its last row stays for the list's seconds: to ask after every write whether
        there is one would hold up whoever comes home."""
        listed = {genre_of(key) for key in keys if is_list(key)}
        if listed <= self._known:
            self._touched |= listed  # by a read that is under way it may have gone
        else:
            self._flight.forget("")
            self._read_at = float("-inf")

    async def _load(self, flight: Flight[list[str]]) -> list[str]:
        started = time.monotonic()
        self._touched.clear()
        names = await self._read()
        if flight.current:
            self._names, self._known = names, frozenset(names)
            self._read_at = started if self._touched <= self._known else float("-inf")
        return names


def _seen(task: asyncio.Task[Any]) -> None:
    """A refresh that fails is tried again by the next reader; nobody waits for its error."""
    if not task.cancelled():
        task.exception()
