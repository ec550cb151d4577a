"""Rows and lists of any store as finished entries, through the layers of cache.

Reads go by ``reads.py``, writes by ``fence.py``. A write deletes value and lease of every key that
the write touches, before it and after it. So a read that began before a write can never put the old
row back, in whatever order messages arrive.
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import orjson

from cache.entry import Entry, together
from cache.fence import Fence
from cache.genres import Genres
from cache.keys import genre_key, row_key
from cache.near import Near
from cache.reads import Answer, Reads
from cache.redis.absent import Rows
from db.store import VideoStore, Written
from db.version import Expected, etag
from db.video import Changes, Row
from errors import NotFound
from etags import digest

LAYERS = ("near", "redis", "collapsed", "store", "stale")
"""The layers of ``Answer``. Several rows have the last of these layers that had any of the rows."""


class CachedVideoStore:
    """Reads give finished entries, writes the results of the store.

    The entry of an absent row or genre is negative. During an outage of Redis reads take longer,
    and writes raise Unavailable.
    """

    def __init__(
        self, store: VideoStore, near: Near, redis: Rows, row_ttl_s: float, stale_s: float = 0.0
    ) -> None:
        self.store = store
        self.near = near
        self._reads = Reads(near, redis, self._is_up, row_ttl_s, stale_s)
        self.genres = Genres(store.genres)
        self._fence = Fence(redis, self._forget)

    async def open(self) -> None:
        """Do nothing, because the maker of the layers opens and closes them."""

    async def close(self) -> None:
        """Cancel refreshes, then wait for writes under way."""
        await self._reads.close()
        await self._fence.close()

    async def cached(self, key: str) -> Answer | None:
        """Return the answer of the near cache or of Redis, or None. The entry may be negative."""
        return await self._reads.cached(key)

    async def video(self, video_id: str) -> Answer:
        """Return the loaded entry of a row, after ``cached`` found none."""

        async def load() -> Entry:
            row = await self.store.video(video_id)
            return entry_of(row, etag(row).encode())

        return await self._reads.loaded(row_key(video_id), load)

    async def videos(self, ids: Sequence[str]) -> list[Answer]:
        """Return the entry of each of different ``ids``; an entry may be negative.

        Each row is read as if it were asked for alone: first those near, then the others in Redis,
        then the rest in the store, all at once. Raise the error of a load that fails.
        """
        found = await self._reads.cached_all([row_key(video_id) for video_id in ids])
        missing = [key for key, cached in zip(ids, found, strict=True) if cached is None]
        loaded = iter(await asyncio.gather(*map(self.video, missing)) if missing else ())
        return [cached or next(loaded) for cached in found]

    async def genre(self, genre: str) -> Answer:
        """Return the loaded entry of a genre's list."""

        async def load() -> Entry:
            return entry_of({genre: await self.store.genre(genre)})

        return await self._reads.loaded(genre_key(genre), load)

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        async def write() -> Written:
            return Written(None, await self.store.create(video_id, values, request_hash))

        written = await self._fence.around(video_id, values["genres"], write)
        assert written.after is not None
        return written.after

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        row = await self._row(video_id, "Could not update a nonexistent video")
        changes.check()
        genres = changes.values.get("genres")
        # a list has ids in the order of creation, so no other field changes it
        listed = () if genres is None else {*row["genres"], *genres}
        write = partial(self.store.update, video_id, changes, expected)
        return await self._fence.around(video_id, listed, write)

    async def delete(self, video_id: str, expected: Expected) -> Written:
        row = await self._row(video_id, "Could not delete a nonexistent video")
        write = partial(self.store.delete, video_id, expected)
        return await self._fence.around(video_id, row["genres"], write)

    async def _row(self, video_id: str, absent: str) -> Row:
        """Return the row before a write, to tell which lists the write will touch.

        Another writer may still change the row. Raise NotFound with the text ``absent``.
        """
        try:
            return await self.store.video(video_id)
        except NotFound:
            raise NotFound(absent) from None

    def _is_up(self) -> bool:
        return self.store.state()[0] in ("up", "degraded")

    def _forget(self, keys: Collection[str]) -> None:
        for key in keys:
            self._reads.forget(key)
        self.genres.forget(keys)


def entry_of(data: Any, tag: bytes = b"") -> Entry:
    """Return an entry of ``data`` in the envelope of success.

    Without ``tag`` its entity tag is a digest of the body, which is the same on every replica.
    """
    body = orjson.dumps({"status": "success", "data": data})
    return Entry(body, tag or digest(body), time.time())


def joined(ids: Sequence[str], answers: Sequence[Answer]) -> Answer:
    """Return ``{id: row or null}`` as one answer, whose layer is the last of LAYERS.

    If rows are stale, its age and TTL are those of the stalest row.
    """
    entry = together(ids, [answer.entry for answer in answers])
    layer = max([answer.layer for answer in answers], key=LAYERS.index)
    if layer == "stale":
        now = time.time()
        stale = [answer.entry for answer in answers if answer.layer == "stale"]
        stalest = min(stale, key=lambda each: each.left_s(now))
        entry.filled_at, entry.ttl_s = stalest.filled_at, stalest.ttl_s
    return Answer(entry, layer)
