"""The home page: genres drawn at random, each with its newest videos. Each visit gets another."""

import asyncio
import random

from cache.entry import DATA, inner
from cache.keys import genre_key
from cache.store import CachedVideoStore
from errors import Late, Unavailable

HOME_GENRES = 10


class Home:
    """Makes pages, ``{"homePage": [{genre: [ids]}, ...]}`` in the envelope of success.

    A page has HOME_GENRES genres, or fewer if the catalogue has fewer.
    """

    def __init__(self, videos: CachedVideoStore) -> None:
        self._videos = videos

    def near(self) -> bytes | None:
        """Return a page without waiting.

        Return None if the list of genres is not fresh, or if the near cache lacks the entry of a
        drawn genre.
        """
        genres = self._videos.genres.fresh
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
        """Return a page, and wait for entries that are not near.

        If the store fails, make the page of the cached entries; raise Unavailable or Late if there
        are none.
        """
        genres = await self._videos.genres.names()
        drawn = random.sample(genres, len(genres))
        lists: list[bytes] = []
        failure: Unavailable | Late | None = None
        while drawn and len(lists) < HOME_GENRES:
            for found in await asyncio.gather(*map(self._list, drawn[:HOME_GENRES])):
                if isinstance(found, bytes):
                    lists.append(found)
                elif found:
                    failure = found
            drawn = drawn[HOME_GENRES:]
        if failure and not lists:
            # another error, because the traceback of this one would hold the frame that holds it
            raise type(failure)() from failure.__cause__
        return _page(lists[:HOME_GENRES])

    async def _list(self, genre: str) -> bytes | Unavailable | Late | None:
        """Return the JSON ``{genre: [ids]}``, cut out of the genre's own answer.

        Return None if the genre has no row. Return the error if the store fails, because other
        genres may be cached.
        """
        try:
            found = await self._videos.cached(genre_key(genre)) or await self._videos.genre(genre)
        except (Unavailable, Late) as error:
            return error
        # nothing is inside if the last row was deleted after the list of genres was read
        return inner(found.entry) or None


def _page(lists: list[bytes]) -> bytes:
    return DATA + b'{"homePage":[%b]}}' % b",".join(lists)
