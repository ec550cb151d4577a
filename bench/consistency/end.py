"""What is there when a consistency run is over: the same rows everywhere, and no write is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import orjson

from bench.consistency.judge import Judge, state_of
from bench.consistency.readers import ABSENT
from bench.consistency.world import World
from bench.consistency.writers import Course, position_of
from bench.lab.asking import ask
from config import Config
from db.cassandra.store import CassandraStore
from errors import Late, NotFound, Unavailable

UP_S = 60.0


async def rows_in_store(config: Config, ids: Sequence[str]) -> list[dict[str, Any] | None]:
    """Return the rows as they are in Cassandra, past everything that was under test."""
    store = CassandraStore(config)
    await store.open()
    try:
        async with asyncio.timeout(UP_S):
            return [await _row(store, video_id) for video_id in ids]
    finally:
        await store.close()


async def _row(store: CassandraStore, video_id: str) -> dict[str, Any] | None:
    while True:
        try:
            return await store.video(video_id)
        except NotFound:
            return None
        except (Late, Unavailable):  # not connected yet
            await asyncio.sleep(0.05)


def check_end(
    world: World, course: Course, judge: Judge, rows: Sequence[dict[str, Any] | None]
) -> None:
    """Judge whether no write is lost, replicas and store agree, and lists name their rows."""
    now_s = time.monotonic()
    for key, row in enumerate(rows):
        position = position_of(row["lastupdated"]) if row else ABSENT
        judge.final(key, -1, position, now_s)
        for replica, server in enumerate(world.replicas):
            status, _, body = ask(server, f"/content/{course.ids[key]}")
            if status == 200:
                judge.state(key, state_of(body), body)
            judge.final(key, replica, state_of(body) if status == 200 else ABSENT, now_s)
            if (orjson.loads(body)["data"] if status == 200 else None) != row:
                judge.at_rest("end differs", key, f"at replica {replica}: {body!r}, stored {row}")
    for genre in course.genres:
        expected = {row["id"] for row in rows if row and genre in row["genres"]}
        for server in world.replicas:
            status, _, body = ask(server, f"/content/genre/{genre.replace(' ', '%20')}")
            listed = orjson.loads(body)["data"][genre] if status == 200 else []
            if sorted(listed) != sorted(expected):
                judge.verdict.convict("genre list", f"{genre}: {listed}, expected {expected}")
