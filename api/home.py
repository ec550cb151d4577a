"""The home page: genres drawn at random, each with its newest titles; made anew for every visit."""

from __future__ import annotations

import asyncio
import random

from cache.entry import DATA, inner
from cache.keys import genre_key
from cache.store import CachedVideoStore
from errors import Late, NotFound, Unavailable

HOME_GENRES = 10


class Home:
    """Makes pages, ``{"homePage": [{genre: [ids]}, ...]}`` in the envelope of success: of ten
    genres, or of those that there are."""

    def __init__(self, videos: CachedVideoStore) -> None:
        self._videos = videos

    def near(self) -> bytes | None:
        """A page when all that was drawn for it is near; nothing is waited for."""
        genres = self._videos.fresh_genres
        if not genres:
            return None
        lists = []
        for genre in random.sample(genres, min(HOME_GENRES, len(genres))):
            entry = self._videos.near.get(genre_key(genre))
            if entry is None or not (found := inner(entry)):
                return None
            lists.append(found)
        return _page(lists)

    async def page(self) -> bytes:
        """A page, whatever it takes. While the store is away it is made of the lists that are
        cached; raises Unavailable or Late when none is."""
        left = await self._videos.genres()
        lists: list[bytes] = []
        failure: Unavailable | Late | None = None
        while left and len(lists) < HOME_GENRES:
            drawn = random.sample(left, min(HOME_GENRES, len(left)))
            for found in await self._lists(drawn):
                if isinstance(found, bytes):
                    lists.append(found)
                else:
                    failure = found or failure
            if len(lists) < HOME_GENRES:
                left = [genre for genre in left if genre not in drawn]
        if failure and not lists:
            try:
                raise failure
            finally:  # an error holds this frame, which must not hold the error
                failure = found = None
        return _page(lists[:HOME_GENRES])

    async def _lists(self, genres: list[str]) -> list[bytes | Unavailable | Late | None]:
        """Of each genre what ``_list`` says. Most are near, and to make a task of those would cost
        more than all the rest."""
        near = {genre: self._videos.near.get(genre_key(genre)) for genre in genres}
        far = [genre for genre, entry in near.items() if entry is None]
        found = [inner(entry) or None for entry in near.values() if entry is not None]
        return [*found, *(await asyncio.gather(*map(self._list, far)))] if far else [*found]

    async def _list(self, genre: str) -> bytes | Unavailable | Late | None:
        """The JSON of a genre and its ids, taken out of its own answer. None when it is gone; an
        error when the store is away: there may be others that are cached."""
        key = genre_key(genre)
        try:
            found = await self._videos.cached(key) or await self._videos.genre(genre)
        except NotFound:  # its last row went since the list of genres was read
            return None
        except (Unavailable, Late) as error:
            return error
        return inner(found.entry) or None


def _page(lists: list[bytes]) -> bytes:
    return DATA + b'{"homePage":[%b]}}' % b",".join(lists)
