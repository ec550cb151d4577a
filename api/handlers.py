"""The handlers: parse, ask the store, answer; a few lines each."""

from __future__ import annotations

import hashlib
from urllib.parse import urlencode

from api import request
from api.guard import Guard
from api.home import Home
from api.resource import PATCH_TYPES
from cache.reads import Answer
from cache.store import CachedVideoStore
from config import Config
from db.fields import genre_name
from db.version import etag, new_id
from db.video import Row, parse_changes, parse_draft
from errors import NotFound, PreconditionFailed
from middleware.cache_lookup import STATUS, answer, answer_home
from middleware.onion import Context


class Content:
    """The handlers: parse, ask the store, answer."""

    def __init__(self, config: Config, videos: CachedVideoStore, home: Home) -> None:
        self.config = config
        self.videos = videos
        self._home = home
        self._guard = Guard(config)
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
        genre = genre_name(ctx.scope["path_params"]["genre"])
        if genre is None:
            raise NotFound()
        self._answer(ctx, await self.videos.genre(genre))

    async def home(self, ctx: Context) -> None:
        """Some genres drawn at random, each with its newest videos."""
        answer_home(ctx, await self._home.page())

    async def create(self, ctx: Context) -> None:
        """Adds a video."""
        self._guard.check(ctx)
        values = parse_draft(await request.read_json(ctx, self.config.body_max_bytes))
        key = request.idempotency_key(ctx)
        if ctx.header(b"if-match") is not None:  # no row is there that could match
            raise PreconditionFailed(None, None, "A new row has no version for If-Match")
        digest = None if key is None else request.request_hash(values)
        row = await self.videos.create(new_id(key), values, digest)
        self._written(ctx, row, 201)
        ctx.headers[b"location"] = b"content/" + row["id"].encode()

    async def update(self, ctx: Context) -> None:
        """Changes some fields of a video."""
        video_id = request.path_id(ctx, "Could not update a nonexistent video")
        self._guard.check(ctx)
        body = await request.read_json(ctx, self.config.body_max_bytes, PATCH_TYPES)
        changes = parse_changes(body, video_id)
        expected = request.expected(ctx, changes.last_updated)
        written = await self.videos.update(video_id, changes, expected)
        assert written.after is not None  # an update leaves a row
        self._written(ctx, written.after, 200)

    async def delete(self, ctx: Context) -> None:
        """Takes a video away."""
        video_id = request.path_id(ctx, "Could not delete a nonexistent video")
        self._guard.check(ctx)
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
            ctx.headers[b"link"] = f'<uuids?{query}>; rel="next"'.encode()

    def _answer(self, ctx: Context, found: Answer) -> None:
        answer(ctx, found.entry, found.layer, self.config.cache_control)

    def _written(self, ctx: Context, row: Row, status: int) -> None:
        ctx.answer(row, status)
        ctx.headers[b"etag"] = etag(row).encode()
        ctx.headers[b"cache-control"] = b"no-store"
