"""The handlers of the API: parse the request, call the store, answer; and the probes."""

import gzip
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from api import request
from api.guard import check_right
from api.home import Home
from api.resource import takes_gzip
from cache.near import Near
from cache.redis.absent import Rows
from cache.store import CachedVideoStore, entry_of, joined
from config import Config
from db.fields import genre_name
from db.store import GENRE_LIST, Place, VideoStore
from db.version import etag, new_id
from db.video import Row, parse_changes, parse_draft
from drain import Drain
from errors import NotFound, PreconditionFailed
from etags import digest
from metrics import Publisher
from middleware.cache_lookup import answer
from middleware.onion import Context


class Content:
    """One handler for each method of the paths of content.

    ``api/openapi.json`` says what each answers.
    """

    def __init__(self, config: Config, videos: CachedVideoStore, home: Home) -> None:
        self._config, self._cache_control = config, config.cache_control
        self._videos = videos
        self._home = home

    async def welcome(self, ctx: Context) -> None:
        """Answer with the name of the service."""
        ctx.status = 200
        ctx.body = b'{"status":"success","message":"Content Microservice for Netflix"}'

    async def by_id(self, ctx: Context) -> None:
        """Answer with the row of the id in the path."""
        answer(ctx, await self._videos.video(request.path_id(ctx)), self._cache_control)

    async def in_lane(self, ctx: Context) -> None:
        """Answer a request of the lane, for one row or for several."""
        await (self.by_query(ctx) if ctx.scope["query_string"] else self.by_id(ctx))

    async def by_query(self, ctx: Context) -> None:
        """Answer with the row, or the rows, of the ids in the query."""
        ids = request.query_ids(ctx)
        if ids is None:
            found = await self._videos.video(request.query_id(ctx))
        else:
            found = joined(ids, await self._videos.videos(ids))
        answer(ctx, found, self._cache_control)

    async def genre(self, ctx: Context) -> None:
        """Answer with the ids of a genre's newest videos, or with a page of its ids."""
        genre = genre_name(ctx.scope["path_params"]["genre"])
        if genre is None:
            raise NotFound()
        if request.query(ctx, "limit") is None and request.query(ctx, "cursor") is None:
            answer(ctx, await self._videos.genre(genre), self._cache_control)
        else:
            await self._genre_page(ctx, genre)

    async def _genre_page(self, ctx: Context, genre: str) -> None:
        limit = request.page_limit(ctx, GENRE_LIST, request.GENRE_PAGE_MAX)
        store = self._videos.store
        after = request.page_after(ctx, 2, store.name, genre)
        found = await store.genre_page(genre, Place(*after) if after else None, limit + 1)
        if not found and after is None:
            raise NotFound()
        page = found[:limit]
        cursor = request.encode_cursor(page[-1], store.name, genre) if found[limit:] else None
        # relative to a path in which a slash of the genre may be encoded or not
        self._page(ctx, {genre: [place.video_id for place in page]}, "", limit, cursor)

    async def genres(self, ctx: Context) -> None:
        """Answer with every genre."""
        ctx.answer(await self._videos.genres.names())
        ctx.headers[b"etag"] = digest(ctx.body)
        ctx.headers[b"cache-control"] = self._cache_control

    async def home(self, ctx: Context) -> None:
        """Answer with a home page. It has no ETag, because every visit gets a new page."""
        ctx.body = self._home.near() or await self._home.page()
        ctx.status = 200

    async def create(self, ctx: Context) -> None:
        """Create a row."""
        check_right(ctx, self._config)
        values = parse_draft(await request.read_json(ctx, self._config.body_max_bytes))
        key = request.idempotency_key(ctx)
        if ctx.header(b"if-match") is not None:  # a new row has no tag that could match
            raise PreconditionFailed(None, None, "A new row has no version for If-Match")
        request_hash = None if key is None else request.request_hash(values)
        row = await self._videos.create(new_id(key), values, request_hash)
        self._written(ctx, row, 201)
        ctx.headers[b"location"] = b"content/" + row["id"].encode()

    async def update(self, ctx: Context) -> None:
        """Change some fields of a row."""
        video_id = request.path_id(ctx, "Could not update a nonexistent video")
        check_right(ctx, self._config)
        body = await request.read_json(ctx, self._config.body_max_bytes)
        changes = parse_changes(body, video_id)
        expected = request.expected(ctx, changes.last_updated)
        written = await self._videos.update(video_id, changes, expected)
        assert written.after is not None  # an update leaves a row
        self._written(ctx, written.after, 200)

    async def delete(self, ctx: Context) -> None:
        """Delete a row."""
        video_id = request.path_id(ctx, "Could not delete a nonexistent video")
        check_right(ctx, self._config)
        await self._videos.delete(video_id, request.expected(ctx))
        ctx.answer({"id": video_id})

    async def random_id(self, ctx: Context) -> None:
        """Answer with the id of a random row."""
        ctx.answer(await self._videos.store.random_id())

    async def ids(self, ctx: Context) -> None:
        """Answer with a page of ids, and link the next page."""
        limit = request.page_limit(ctx, request.PAGE_DEFAULT, request.PAGE_MAX)
        store = self._videos.store
        after = request.page_after(ctx, 1, store.name)
        # one more shows that there is a next page
        found = await store.ids(after[0] if after else None, limit + 1)
        page = found[:limit]
        cursor = request.encode_cursor(page[-1:], store.name) if found[limit:] else None
        self._page(ctx, page, "uuids", limit, cursor)

    def _page(self, ctx: Context, data: object, path: str, limit: int, cursor: str | None) -> None:
        """Answer with a page of ids, and link the next page at ``cursor``, if there is one."""
        answer(ctx, (entry_of(data), "store"), self._cache_control)
        ctx.layer = ""  # metrics count layers of rows and cached lists alone
        if cursor:
            query = urlencode({"limit": limit, "cursor": cursor})
            ctx.headers[b"link"] = f'<{path}?{query}>; rel="next"'.encode()

    def _written(self, ctx: Context, row: Row, status: int) -> None:
        ctx.answer(row, status)
        ctx.headers[b"etag"] = etag(row).encode()


@dataclass(frozen=True)
class Probes:
    """Handlers of ``/healthz``, ``/readyz`` and ``/metrics``. None waits for a dependency."""

    config: Config
    store: VideoStore
    redis: Rows
    near: Near
    publisher: Publisher
    drain: Drain

    async def alive(self, ctx: Context) -> None:
        """Answer that the process is alive."""
        ctx.status = 200
        ctx.body = b'{"status":"success"}'

    async def ready(self, ctx: Context) -> None:
        """Answer whether the service can serve, and with the states of its dependencies.

        A store that was up before may come back at any time: the service is degraded, not starting.
        """
        state, reason = self.store.state()
        redis = self.redis.state
        if self.drain.active:
            overall = "draining"
        elif state == "starting":
            overall = "starting"
        else:
            overall = "ready" if state == "up" and redis != "down" else "degraded"
        data: dict[str, Any] = {"state": overall, "store": "up" if state == "up" else "down"}
        ttl_s = {"near": self.config.near_ttl_s, "redis": self.config.redis_ttl_s}
        data |= {"redis": redis, "near": self.near.state, "ttl_s": ttl_s}
        if reasons := [*filter(None, (reason, self.redis.reason))]:
            data["reason"] = "; ".join(reasons)
        ctx.answer(data)
        if overall in ("starting", "draining"):
            ctx.status = 503
            ctx.headers[b"retry-after"] = b"1"
            ctx.body = orjson.dumps({"status": "failed", "message": overall, "data": data})

    async def metrics(self, ctx: Context) -> None:
        """Answer with the metrics, in Prometheus' text format; as gzip if the client accepts it."""
        ctx.status = 200
        ctx.body = self.publisher.scrape()
        ctx.headers |= {b"content-type": CONTENT_TYPE_LATEST.encode(), b"vary": b"accept-encoding"}
        if takes_gzip(ctx.header(b"accept-encoding")):
            ctx.body = gzip.compress(ctx.body, compresslevel=1)  # a twelfth, in 0.1 ms
            ctx.headers[b"content-encoding"] = b"gzip"
