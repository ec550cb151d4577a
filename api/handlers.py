"""The handlers: parse, ask the store, answer; a few lines each."""

from __future__ import annotations

import asyncio
import hashlib
import random
from urllib.parse import urlencode

from api import request
from cache.entry import DATA, inner
from cache.keys import genre_key
from cache.reads import Answer
from cache.store import CachedVideoStore
from config import Config
from db.fields import is_genre
from db.version import etag, new_id
from db.video import Row, parse_changes, parse_draft
from errors import Late, NotFound, Unavailable
from middleware.cache_lookup import STATUS, answer
from middleware.onion import Context

HOME_GENRES = 10


class Content:
    """The handlers: parse, ask the store, answer."""

    def __init__(self, config: Config, videos: CachedVideoStore) -> None:
        self.config = config
        self.videos = videos
        self.store = videos.store

    async def welcome(self, ctx: Context) -> None:
        """Says which service this is."""
        ctx.status = 200
        ctx.body = b'{"status":"success","message":"Content Microservice for Netflix"}'
        ctx.headers[b"cache-control"] = b"no-store"

    async def by_id(self, ctx: Context) -> None:
        """One video, by its id."""
        self._answer(ctx, await self.videos.video(request.path_id(ctx)))

    async def by_query(self, ctx: Context) -> None:
        """One video, by its id in the query."""
        self._answer(ctx, await self.videos.video(request.query_id(ctx)))

    async def genre(self, ctx: Context) -> None:
        """The newest videos of a genre."""
        genre = ctx.scope["path_params"]["genre"]
        if not is_genre(genre):
            raise NotFound()
        self._answer(ctx, await self.videos.genre(genre))

    async def home(self, ctx: Context) -> None:
        """Some genres drawn at random, each with its newest videos."""
        left = await self.videos.genres()
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
            raise failure
        ctx.status = 200
        ctx.body = DATA + b'{"homePage":[%b]}}' % b",".join(lists[:HOME_GENRES])
        ctx.headers[b"cache-control"] = b"no-store"

    async def _lists(self, genres: list[str]) -> list[bytes | Unavailable | Late | None]:
        """Of each genre what ``_list`` says. Most are near, and to make a task of those would cost
        more than all the rest."""
        near = {genre: self.videos.near.get(genre_key(genre)) for genre in genres}
        far = [genre for genre, entry in near.items() if entry is None]
        found = [inner(entry) or None for entry in near.values() if entry is not None]
        return [*found, *(await asyncio.gather(*map(self._list, far)))] if far else [*found]

    async def _list(self, genre: str) -> bytes | Unavailable | Late | None:
        """The JSON of a genre and its ids, taken out of its own answer. None when it is gone; an
        error when the store is away: there may be others that are cached."""
        try:
            found = await self.videos.cached(genre_key(genre)) or await self.videos.genre(genre)
        except NotFound:  # its last row went since the list of genres was read
            return None
        except (Unavailable, Late) as error:
            return error
        return inner(found.entry) or None

    async def create(self, ctx: Context) -> None:
        """Adds a video."""
        request.authorize(ctx, self.config.write_token)
        values = parse_draft(await request.read_json(ctx, self.config.body_max_bytes))
        key = request.idempotency_key(ctx)
        digest = None if key is None else request.request_hash(values)
        row = await self.videos.create(new_id(key), values, digest)
        self._written(ctx, row, 201)
        ctx.headers[b"location"] = b"/content/" + row["id"].encode()

    async def update(self, ctx: Context) -> None:
        """Changes some fields of a video."""
        video_id = request.path_id(ctx, "Could not update a nonexistent video")
        request.authorize(ctx, self.config.write_token)
        body = await request.read_json(ctx, self.config.body_max_bytes)
        changes = parse_changes(body, video_id)
        expected = request.expected(ctx, changes.last_updated)
        written = await self.videos.update(video_id, changes, expected)
        assert written.after is not None  # an update leaves a row
        self._written(ctx, written.after, 200)

    async def delete(self, ctx: Context) -> None:
        """Takes a video away."""
        video_id = request.path_id(ctx, "Could not delete a nonexistent video")
        request.authorize(ctx, self.config.write_token)
        await self.videos.delete(video_id, request.expected(ctx))
        ctx.answer({"id": video_id})
        ctx.headers[b"cache-control"] = b"no-store"

    async def random_id(self, ctx: Context) -> None:
        """The id of one video, drawn at random."""
        ctx.answer(await self.store.random_id())
        ctx.headers[b"cache-control"] = b"no-store"

    async def ids(self, ctx: Context) -> None:
        """The ids of all videos, page by page."""
        limit = request.page_limit(ctx)
        cursor = request.query(ctx, "cursor")
        after = None if cursor is None else request.decode_cursor(cursor, self.store.name)
        found = await self.store.ids(after, limit + 1)  # one more: is there a next page?
        page = found[:limit]
        ctx.answer(page)
        digest = hashlib.blake2b(ctx.body, digest_size=12).hexdigest()
        ctx.headers[b"etag"] = b'"%b"' % digest.encode()
        ctx.headers[b"cache-control"] = self.config.cache_control
        ctx.headers[b"cache-status"] = STATUS["store"]
        if len(found) > limit:
            following = request.encode_cursor(page[-1], self.store.name)
            query = urlencode({"limit": limit, "cursor": following})
            ctx.headers[b"link"] = f'</uuids?{query}>; rel="next"'.encode()

    def _answer(self, ctx: Context, found: Answer) -> None:
        answer(ctx, found.entry, found.layer, self.config.cache_control)

    def _written(self, ctx: Context, row: Row, status: int) -> None:
        ctx.answer(row, status)
        ctx.headers[b"etag"] = etag(row).encode()
        ctx.headers[b"cache-control"] = b"no-store"
