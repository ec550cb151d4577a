"""Rows that no cache has, loaded by the lane: errors, ends, and requests that arrive meanwhile."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from cache.entry import Entry
from cache.near import Near
from config import Config
from db.embedded import EmbeddedStore
from db.video import Row
from errors import Late, NotFound, Unavailable
from middleware.onion import Context
from service import create_app
from tests.http.samples import draft
from tests.http.wire import request
from tests.wire.in_process import Client, connected, serving, until
from tests.wire.twins import mask
from wire.lane import Lane, render_with
from wire.protocol import Protocol

JSON = "Content-Type: application/json"
STORE = "content; fwd=miss; detail=store"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Store:
    """Stands in for ``EmbeddedStore.video``: waits while it is ``closed``, then raises ``error``,
    or does as ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened, self.asked = asyncio.Event(), 0
        self.opened.set()
        self.error: BaseException | None = None
        ever = EmbeddedStore.video

        async def video(store: EmbeddedStore, video_id: str) -> Row:
            self.asked += 1
            await self.opened.wait()
            if self.error is not None:
                raise self.error
            return await ever(store, video_id)

        monkeypatch.setattr(EmbeddedStore, "video", video)


class World(NamedTuple):
    """A client whose plain head the lane knows by heart, its row, and how many the lane loaded."""

    client: Client
    store: Store
    path: str
    loaded: list[str]
    app: Any

    @property
    def plain(self) -> bytes:
        return request("GET", self.path)


async def loaded(world: World, arrived_s: float) -> bytes:
    """Return the lane's response to a GET of the row, which arrived at ``arrived_s``."""
    lane: Lane = world.app.state.lane
    ctx = lane.context(world.path, [], arrived_s)
    await lane.load(ctx)
    return lane.loaded(ctx, [])


@asynccontextmanager
async def loading(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[World]:
    loaded: list[str] = []
    context = Lane.context

    def counted(lane: Lane, key: str, *rest: Any) -> Any:
        loaded.append(key)
        return context(lane, key, *rest)

    monkeypatch.setattr(Lane, "context", counted)
    given = {"drain_s": 0, "near_bytes": 0, **settings}
    app = create_app(Config(embedded_path=str(folder / "content.sqlite3"), **given))
    async with serving(app) as port, connected(port) as client:
        client.send(
            request(
                "POST", "/content", "Content-Type: application/json", body=orjson.dumps(draft())
            )
        )
        row_id = orjson.loads((await client.answer()).body)["data"]["id"]
        world = World(client, Store(monkeypatch), f"/content/{row_id}", loaded, app)
        for count in (0, 1):
            client.send(world.plain)
            answer = await client.answer()
            assert (answer.status, answer.headers["cache-status"]) == (200, STORE)
            assert len(loaded) == count
        yield world


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, 200), (NotFound(), 404), (Unavailable(), 503), (Late(), 504), (ValueError("x"), 500)],
)
@pytest.mark.parametrize("is_several", [False, True])
async def test_every_answer_is_that_of_the_app(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    status: int,
    is_several: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL, "content")
    monkeypatch.setattr("middleware.error_handling.PAUSE_S", 0.0)  # each has a request id
    async with loading(tmp_path, monkeypatch) as world:
        world.store.error = error
        target = world.path
        if is_several:  # an absent row is a null among them
            target = f"/content?ids={world.path[9:]},{UNKNOWN}"
            status = 200 if status == 404 else status
        world.client.send(request("GET", target))
        mine = await world.client.answer()
        assert len(world.loaded) == 2
        world.client.send(request("GET", target, "X: y"))  # which the lane leaves to the app
        theirs = await world.client.answer()
        assert len(world.loaded) == 2
        assert (mask(mine), mine.body) == (mask(theirs), theirs.body)
        assert mine.status == status
        world.client.send(request("GET", target))
        assert (await world.client.answer()).status == status


async def test_a_late_load_is_a_504_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch, read_deadline_s=0.2) as world:
        world.store.opened.clear()
        world.client.send(world.plain)
        assert (await world.client.answer()).status == 504
        world.store.opened.set()
        world.client.send(world.plain)
        assert (await world.client.answer()).status == 200


async def test_requests_during_a_load_are_answered_in_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        world.store.opened.clear()
        for piece in (world.plain, world.plain, request("GET", "/nowhere"), world.plain):
            world.client.send(piece)
            await asyncio.sleep(0.02)
        asked = world.store.asked
        assert asked == 3  # two by heart before, and the first of these
        world.store.opened.set()
        assert [(await world.client.answer()).status for _ in range(4)] == [200, 200, 404, 200]


async def test_a_client_that_has_finished_sending_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        world.store.opened.clear()
        world.client.send(world.plain)
        await until(lambda: world.store.asked == 3)
        world.client.writer.write_eof()
        await asyncio.sleep(0.05)
        world.store.opened.set()
        assert (await world.client.answer()).status == 200
        assert await world.client.rest() == b""


async def test_a_client_that_goes_away_during_a_load_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        world.store.opened.clear()
        world.client.send(world.plain)
        await until(lambda: world.store.asked == 3)
        linger = b"\1\0\0\0\0\0\0\0"
        connection = world.client.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        world.client.writer.transport.abort()
        await asyncio.sleep(0.05)
        before = len(asyncio.all_tasks())
        world.store.opened.set()
        await until(lambda: len(asyncio.all_tasks()) < before)
        assert caplog.records == []


async def test_a_drain_that_begins_during_a_load_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        world.store.opened.clear()
        world.client.send(world.plain)
        await until(lambda: world.store.asked == 3)
        world.app.state.lane.drain.active = True
        world.store.opened.set()
        answer = await world.client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await world.client.rest() == b""


async def test_hovers_are_shed_and_clicks_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The headers that the lane knows by heart count as in any request."""
    monkeypatch.setattr("middleware.admission.LAG_S", -1.0)
    async with loading(tmp_path, monkeypatch) as world:
        hover = request("GET", world.path, "Priority: u=5")
        for count in (1, 2, 3):
            world.client.send(hover)
            assert (await world.client.answer()).status == 503
            assert len(world.loaded) == count
        for count in (3, 4):
            world.client.send(world.plain)
            assert (await world.client.answer()).status == 200
            assert len(world.loaded) == count


@pytest.mark.parametrize("behind", [b"", request("GET", "/nowhere")])
async def test_an_end_of_the_server_waits_for_a_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    made: list[Protocol] = []
    connection_made = Protocol.connection_made

    def noted(protocol: Protocol, transport: asyncio.Transport) -> None:
        made.append(protocol)
        connection_made(protocol, transport)

    monkeypatch.setattr(Protocol, "connection_made", noted)
    async with loading(tmp_path, monkeypatch) as world:
        world.store.opened.clear()
        world.client.send(world.plain)
        await until(lambda: world.store.asked == 3)
        world.client.send(behind)
        made[0].shutdown()  # as the server does
        assert len(made[0].tasks) == 1  # which it waits for
        world.store.opened.set()
        answer = await world.client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await world.client.rest() == b""
        assert not made[0].tasks


async def test_a_load_that_the_server_cancels_is_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of its patience with a drain."""
    made: list[asyncio.Task[Any]] = []
    async with loading(tmp_path, monkeypatch) as world:
        load = world.app.state.lane.load

        async def noted(ctx: Context) -> None:
            task = asyncio.current_task()
            assert task is not None
            made.append(task)
            await load(ctx)

        world.app.state.lane.load = noted
        world.store.opened.clear()
        world.client.send(world.plain)
        await until(lambda: world.store.asked == 3)
        made[-1].cancel()
        assert (await world.client.answer()).status == 503
        world.store.opened.set()
        world.client.send(world.plain)
        assert (await world.client.answer()).status == 200


async def test_a_head_that_was_learnt_from_a_hit_keeps_its_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one so large that the protocol forgets it with its answer."""
    monkeypatch.setattr("middleware.admission.LAG_S", -1.0)
    async with loading(tmp_path, monkeypatch) as world:
        lane: Lane = world.app.state.lane
        near, lane.cache = lane.cache, Near(1 << 20, 60.0, render=render_with(b"no-cache"))
        lane.cache.put(world.path, Entry(b"{}", b'"x"', time.time()))
        many = [f"X-{number}: {'y' * 30}" for number in range(25)]
        hover = request("GET", world.path, "Priority: u=5", *many)
        for _ in range(2):
            world.client.send(hover)
            assert (await world.client.answer()).status == 200
        lane.cache = near
        loaded = len(world.loaded)
        world.client.send(hover)
        assert (await world.client.answer()).status == 503
        assert len(world.loaded) == loaded + 1


async def test_a_load_has_its_deadline_from_the_arrival_of_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with loading(tmp_path, monkeypatch) as world:
        long_ago = asyncio.get_running_loop().time() - 60
        response = await loaded(world, long_ago)
        assert response.startswith(b"HTTP/1.1 504 ")
        assert b"connection: " not in response
