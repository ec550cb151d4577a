"""The read and the write path over a real store that can be held up, and a real Redis or none."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from bench.lab.proxy import Proxy
from bench.lab.servers import RedisServer
from cache.keys import genre_key, row_key
from cache.near import Near
from cache.reads import Answer
from cache.redis.absent import NoRedis
from cache.redis.address import Address
from cache.redis.rows import RedisRows
from cache.store import CachedVideoStore
from db.embedded import EmbeddedStore
from db.store import Written
from db.version import Expected, new_id
from db.video import Changes, Row, parse_draft
from errors import NotFound
from tests.cache.redis_world import BOUND_S, command, until, url_of

T = TypeVar("T")
ROW_TTL_S = 3_600.0
ANY = Expected()


class Trap:
    """Holds up whoever comes into it, until it is released."""

    def __init__(self) -> None:
        self._reached, self._released = asyncio.Event(), asyncio.Event()

    async def reached(self) -> None:
        await asyncio.wait_for(self._reached.wait(), BOUND_S)

    def release(self) -> None:
        self._released.set()

    async def spring(self) -> None:
        self._reached.set()
        await self._released.wait()


class Gate:
    """A place in the code: each trap set there catches the next one who comes by."""

    def __init__(self) -> None:
        self._traps: deque[Trap] = deque()

    def trap(self) -> Trap:
        self._traps.append(Trap())
        return self._traps[-1]

    async def passed(self) -> None:
        if self._traps:
            await self._traps.popleft().spring()


class HeldStore(EmbeddedStore):
    """The real one; its calls are counted, and can be held up or made to fail, by their names.

    ``has_read``: between a read and its return. ``writes`` and ``has_written``: before and after
    the transaction. ``failures`` are raised instead of reading, after having written ("update"), or
    before it ("before update").
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.calls: Counter[str] = Counter()
        self.has_read: defaultdict[str, Gate] = defaultdict(Gate)
        self.writes, self.has_written = Gate(), Gate()
        self.failures: dict[str, Exception] = {}

    async def video(self, video_id: str) -> Row:
        return await self._reading("video", super().video, video_id)

    async def genre(self, genre: str) -> list[str]:
        return await self._reading("genre", super().genre, genre)

    async def genres(self) -> list[str]:
        return await self._reading("genres", super().genres)

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        return await self._writing("create", super().create, video_id, values, request_hash)

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        return await self._writing("update", super().update, video_id, changes, expected)

    async def delete(self, video_id: str, expected: Expected) -> Written:
        return await self._writing("delete", super().delete, video_id, expected)

    async def _reading(self, name: str, read: Callable[..., Awaitable[T]], *values: Any) -> T:
        self.calls[name] += 1
        try:
            if name in self.failures:
                raise self.failures[name]
            return await read(*values)
        finally:
            await self.has_read[name].passed()

    async def _writing(self, name: str, write: Callable[..., Awaitable[T]], *values: Any) -> T:
        self.calls[name] += 1
        await self.writes.passed()
        if f"before {name}" in self.failures:
            raise self.failures[f"before {name}"]
        written = await write(*values)
        await self.has_written.passed()
        if name in self.failures:
            raise self.failures[name]
        return written


@dataclass
class Replica:
    """One process of the service, below HTTP."""

    store: HeldStore
    near: Near
    redis: RedisRows | None
    videos: CachedVideoStore

    async def read(self, video_id: str) -> Answer:
        """As the middleware and then the handler do; NotFound for a negative entry, too."""
        found = await self.videos.cached(row_key(video_id)) or await self.videos.video(video_id)
        if found.entry.status == 404:
            raise NotFound
        return found

    async def title(self, video_id: str) -> str:
        return str(orjson.loads((await self.read(video_id)).entry.body)["data"]["title"])

    async def is_absent(self, video_id: str) -> bool:
        try:
            await self.read(video_id)
        except NotFound:
            return True
        return False

    async def listed(self, genre: str) -> list[str]:
        """The ids of a genre; empty when it is not there."""
        found = await self.videos.cached(genre_key(genre)) or await self.videos.genre(genre)
        ids = orjson.loads(found.entry.body).get("data", {genre: []})[genre]
        return list(ids)

    async def create(self, title: str = "one", genre: str = "Drama", **fields: Any) -> str:
        video_id = fields.pop("video_id", None) or new_id()
        draft = {"title": title, "genres": [genre], "isMovie": True} | fields
        await self.videos.create(video_id, parse_draft(draft), "hash")
        return video_id

    async def rename(self, video_id: str, title: str) -> Written:
        return await self.videos.update(video_id, Changes({"title": title}), ANY)

    def name(self, kind: str, key: str) -> str:
        """What Redis calls the value (v), lease (l) or intents (i) of a key."""
        assert self.redis is not None
        return f"{self.redis._link.session.prefix}{kind}:{key}"

    def kept(self, server: RedisServer, kind: str, key: str) -> bool:
        return bool(command(server, "EXISTS", self.name(kind, key)))


@asynccontextmanager
async def opened(
    folder: Path,
    redis: RedisServer | Proxy | None,
    *,
    near_bytes: int = 1_000_000,
    stale_s: float = 0.0,
    **options: Any,
) -> AsyncIterator[Replica]:
    """A replica on the store in ``folder``, put together as ``service.py`` does it. Deadlines are
    long where they are not what is tested: machines stall."""
    store, near, rows = (
        HeldStore(str(folder / "store.sqlite3")),
        Near(near_bytes, 60.0),
        None,
    )
    await store.open()
    if redis is not None:
        rows = RedisRows(
            Address.from_url(url_of(redis)),
            store.identity,
            near,
            **{"deadline_s": 2.0, "write_deadline_s": 2.0, "hang_s": 5.0, **options},
        )
        await rows.open()
        await until(lambda: rows.state == "up")
    videos = CachedVideoStore(store, near, rows or NoRedis(near), ROW_TTL_S, stale_s)
    try:
        yield Replica(store, near, rows, videos)
    finally:
        await videos.close()
        if rows is not None:
            await rows.close()
        await store.close()


async def soon(task: asyncio.Future[T]) -> T:
    """Its result; fails when it hangs."""
    return await asyncio.wait_for(task, BOUND_S)
