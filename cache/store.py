"""The read and the write path over any store, with whatever layers of cache there are.

A read looks near, looks in Redis, else loads: single-flight in this process, a lease across
replicas, then the store, then a fill that stands only while its lease does. A write (``fence.py``)
deletes value and lease on every key it touches, before and after. So a read that began before a
write can never put the old row back, in whatever order things arrive.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import orjson

from cache.entry import Entry
from cache.fence import Fence
from cache.keys import genre_key, is_list, route_of, row_key
from cache.near import Near, NearEntry
from cache.redis import RedisRows
from cache.singleflight import Flight, SingleFlight
from db.store import VideoStore, Written
from db.version import Expected, etag
from db.video import Changes, Row
from errors import NotFound, ServiceError

Load = Callable[[], Awaitable[Entry]]

LIST_AGE_S = 5.0
"""Of genre lists, in Redis and again near: what the loader adds shows within 10 s."""
NEGATIVE_TTL_S = 5.0
GENRES_FRESH_S, GENRES_MAX_S = 5.0, 10.0
WAITS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)


class Answer(NamedTuple):
    """An entry and who had it: ``near``, ``redis``, ``store`` or ``collapsed`` (a joined load)."""

    entry: Entry | NearEntry
    layer: str


class CachedVideoStore:
    """Reads as finished entries, writes as the store does them. Absence raises NotFound; an
    outage of Redis costs a read time, and refuses a write with Unavailable."""

    def __init__(
        self, store: VideoStore, near: Near, redis: RedisRows | None, row_ttl_s: float
    ) -> None:
        self.store = store
        self.near = near
        self.redis = redis
        self._row_ttl_s = row_ttl_s
        self._flights: SingleFlight[Answer] = SingleFlight()
        self._genre_flight: SingleFlight[list[str]] = SingleFlight()
        self._fence = Fence(redis, self._forget)
        self._genres: list[str] = []
        self._genres_at = float("-inf")
        self._refresh: asyncio.Task[Any] | None = None

    async def open(self) -> None:
        """Nothing to do: the layers are opened, and closed, by whoever made them."""

    async def close(self) -> None:
        """Waits for writes under way."""
        await self._fence.close()

    async def cached(self, key: str) -> Answer | None:
        """What near or Redis has; the entry may be a negative one."""
        near = self.near.get(key)
        if near is not None:
            return Answer(near, "near")
        entry = await self.redis.get(key) if self.redis else None
        return None if entry is None else Answer(entry, "redis")

    async def video(self, video_id: str) -> Answer:
        """The row's entry, loaded: for callers that found nothing ``cached``."""

        async def load() -> Entry:
            row = await self.store.video(video_id)
            return entry_of(row, etag(row).encode())

        return await self._loaded(row_key(video_id), load)

    async def genre(self, genre: str) -> Answer:
        """The entry of a genre's list, loaded."""

        async def load() -> Entry:
            entry = entry_of({genre: await self.store.genre(genre)})
            entry.age_limit_s = LIST_AGE_S  # near alone, too
            return entry

        return await self._loaded(genre_key(genre), load)

    async def _loaded(self, key: str, load: Load) -> Answer:
        answer, joined = await self._flights.do(key, lambda flight: self._load(key, load, flight))
        if answer.entry.status == 404:
            raise NotFound()
        return Answer(answer.entry, "collapsed") if joined else answer

    async def _load(self, key: str, load: Load, flight: Flight[Answer]) -> Answer:
        if self.redis is None:
            entry = await _read(load)
            if flight.current:  # else a write has begun since, and may have changed the row
                self.near.put(key, entry, route_of(key))
            return Answer(entry, "store")
        lease = await self.redis.lease(key)
        if isinstance(lease, Entry):
            return Answer(lease, "redis")
        if lease is not None and lease.held and (filled := await self._others_fill(key)):
            return Answer(filled, "redis")
        try:
            entry = await _read(load)
        except BaseException:
            if lease is not None and lease.granted:
                self.redis.release(key, lease)  # others need not wait for what is not coming
            raise
        if lease is not None and lease.granted:
            self.redis.start_fill(key, lease, entry, self._ttl_s(key, entry))
        return Answer(entry, "store")

    async def _others_fill(self, key: str) -> Entry | None:
        """Waits a moment for the replica that holds the lease; None: it is not coming."""
        for pause_s in WAITS_S:
            await asyncio.sleep(pause_s)
            entry = await self.redis.get(key) if self.redis else None
            if entry is not None:
                return entry
        return None

    def _ttl_s(self, key: str, entry: Entry) -> float:
        if entry.status == 404:
            return NEGATIVE_TTL_S
        if is_list(key):
            return LIST_AGE_S
        return self._row_ttl_s * random.uniform(0.9, 1.0)  # filled together, not gone together

    async def genres(self) -> list[str]:
        """The store's list: read again in the background after 5 s, waited for after 10."""
        age_s = time.monotonic() - self._genres_at
        if age_s > GENRES_FRESH_S and not self._genre_flight:
            self._refresh = asyncio.create_task(self._genre_flight.do("", self._read_genres))
            self._refresh.add_done_callback(_seen)
        if age_s > GENRES_MAX_S or not self._genres:
            try:
                return (await self._genre_flight.do("", self._read_genres))[0]
            except ServiceError:
                if not self._genres:
                    raise
        return self._genres  # an old list is better than none

    async def _read_genres(self, flight: Flight[list[str]]) -> list[str]:
        started = time.monotonic()
        genres = await self.store.genres()
        if flight.current:
            self._genres, self._genres_at = genres, started
        return genres

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        async def write() -> Written:
            return Written(None, await self.store.create(video_id, values, request_hash))

        keys = [row_key(video_id), *map(genre_key, values["genres"])]
        written = await self._fence.around(keys, write, _touched)
        assert written.after is not None
        return written.after

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        async def write() -> Written:
            return await self.store.update(video_id, changes, expected)

        genres = changes.values.get("genres", [])
        keys = await self._keys(video_id, genres, "Could not update a nonexistent video")
        return await self._fence.around(keys, write, _touched)

    async def delete(self, video_id: str, expected: Expected) -> Written:
        async def write() -> Written:
            return await self.store.delete(video_id, expected)

        keys = await self._keys(video_id, [], "Could not delete a nonexistent video")
        return await self._fence.around(keys, write, _touched)

    async def _keys(self, video_id: str, genres: Iterable[str], absent: str) -> list[str]:
        """What a write to the row will touch, as far as can be known before it."""
        try:
            row = await self.store.video(video_id)
        except NotFound:
            raise NotFound(absent) from None
        return [row_key(video_id), *map(genre_key, {*row["genres"], *genres})]

    def _forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.near.remove(key)
            self._flights.forget(key)
        self._genre_flight.forget("")
        self._genres_at = float("-inf")  # the worker that wrote sees its write at once


def entry_of(data: Any, tag: bytes = b"") -> Entry:
    """``data`` in the envelope of success; without a tag of its own it gets a digest, which is
    the same on every replica."""
    body = orjson.dumps({"status": "success", "data": data})
    if not tag:
        tag = b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()
    return Entry(body, tag, time.time())


def _seen(task: asyncio.Task[Any]) -> None:
    """A refresh that fails is tried again by the next reader; nobody waits for its error."""
    if not task.cancelled():
        task.exception()


async def _read(load: Load) -> Entry:
    try:
        return await load()
    except NotFound:
        return Entry.absent()


def _touched(written: Written) -> set[str]:
    rows = [row for row in written if row is not None]
    keys = {row_key(rows[0]["id"])}
    return keys.union(*(map(genre_key, row["genres"]) for row in rows))
