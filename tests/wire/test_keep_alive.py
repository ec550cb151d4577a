"""How long an idle connection is kept, when the lane answers what comes on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config import Config
from db.embedded import EmbeddedStore
from db.video import Row, parse_draft
from service import create_app
from tests.http.wire import request
from tests.wire.in_process import connected, serving


def plain(row_id: str) -> bytes:
    return request("GET", f"/content/{row_id}")


class SlowStore(EmbeddedStore):
    """Takes 1.5 s for a row."""

    async def video(self, video_id: str) -> Row:
        row = await super().video(video_id)
        await asyncio.sleep(1.5)
        return row


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[tuple[int, str, str]]:
    """The port of a service in this process that keeps idle connections for 1 s; the ids of a row
    that is near and of one that is not."""
    config = Config(embedded_path=str(tmp_path / "store.sqlite3"), near_ttl_s=600.0)
    store = SlowStore(config.embedded_path)
    async with serving(create_app(config, store), timeout_keep_alive=1) as port:
        draft = parse_draft({"title": "x", "genres": ["x"], "isMovie": True})
        near, far = [(await store.create(_id(n), draft, None))["id"] for n in (1, 2)]
        async with connected(port) as client:
            client.send(plain(near))
            assert (await client.answer()).status == 200
        yield port, near, far


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


async def test_hits_keep_a_connection_alive_and_silence_ends_it(
    slow: tuple[int, str, str],
) -> None:
    port, near, _ = slow
    async with connected(port) as client:
        for _ in range(12):
            client.send(plain(near))
            assert (await client.answer()).headers["cache-status"].endswith("near")
            await asyncio.sleep(0.2)  # 2.4 s in all
        assert 0.5 < await client.closed_after_s() < 2.5


async def test_an_answer_that_takes_long_behind_a_hit_is_not_cut_off(
    slow: tuple[int, str, str],
) -> None:
    port, near, far = slow
    async with connected(port) as client:
        client.send(plain(near) + plain(far))
        assert [(await client.answer()).status for _ in range(2)] == [200, 200]
        assert 0.5 < await client.closed_after_s() < 2.5
