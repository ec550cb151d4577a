"""What is there when a consistency run is over: the same rows everywhere, and no write is lost."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from urllib.parse import quote

import orjson

from bench.consistency.chaos import World
from bench.consistency.judge import Judge, state_of
from bench.consistency.readers import ABSENT
from bench.consistency.writers import Course, position_of
from bench.lab.asking import ask
from config import Config
from db.cassandra.store import CassandraStore
from db.store import Stored
from errors import Late, Unavailable

SETTLED_S = 35.0
"""Longer than a write of unknown outcome is settled, and a name of a genre looked at."""
ROWS_MAX = 10_000
Line = tuple[str, str, str]  # a line's genre, the time of its row's creation, and the id of its row


async def stored(config: Config) -> tuple[list[Stored], list[str]]:
    """Return the rows in Cassandra, and what their lists lack, once they agree or after
    SETTLED_S."""
    store = CassandraStore(config)
    await store.open()
    end_s, faults = time.monotonic() + SETTLED_S, ["Cassandra is not there"]
    rows: list[Stored] = []
    try:
        while faults and time.monotonic() < end_s:
            await asyncio.sleep(0.1)
            try:
                ids = await store.ids(None, ROWS_MAX)
                found = await asyncio.gather(*map(store._writes.find, ids))
                rows = [each for each in found if each]
                lines = [each[:3] async for page in store.entries() for each in page]
                faults = list_faults(rows, lines, await store.genres())
            except (Late, Unavailable):  # not connected yet
                continue
        return rows, faults
    finally:
        await store.close()


def list_faults(rows: Iterable[Stored], lines: Iterable[Line], genres: Iterable[str]) -> list[str]:
    """Return what differs: each row has one line in each of its genres, with its own ``created``,
    and ``genres`` names exactly the genres with lines."""
    listed, names = Counter(lines), Counter(genres)
    wanted = Counter(
        (genre, each.created, each.row["id"]) for each in rows for genre in each.row["genres"]
    )
    used = Counter({genre for genre, *_ in listed})
    return [
        *(f"missing line: {each}" for each in (wanted - listed).elements()),
        *(f"line of nothing: {each}" for each in (listed - wanted).elements()),
        *(f"wrong in the list of genres: {each}" for each in (used - names) + (names - used)),
    ]


def check_end(world: World, course: Course, judge: Judge, found: Iterable[Stored]) -> None:
    """Judge whether no write is lost, and replicas and store agree."""
    now_s, rows = time.monotonic(), {each.row["id"]: each.row for each in found}
    for key, video_id in enumerate(course.ids):
        row = rows.get(video_id)
        judge.final(key, -1, position_of(row["lastupdated"]) if row else ABSENT, now_s)
        for replica, server in enumerate(world.replicas):
            status, _, body = ask(server, f"/content/{video_id}")
            if status == 200:
                judge.state(key, state_of(body), body)
            judge.final(key, replica, state_of(body) if status == 200 else ABSENT, now_s)
            if (orjson.loads(body)["data"] if status == 200 else None) != row:
                judge.at_rest("end differs", key, f"at replica {replica}: {body!r}, stored {row}")


def check_lists(world: World, course: Course, judge: Judge, found: Iterable[Stored]) -> None:
    """Judge whether the lists that replicas serve name their rows."""
    for genre in course.genres:
        expected = {each.row["id"] for each in found if genre in each.row["genres"]}
        for server in world.replicas:
            status, _, body = ask(server, f"/content/genre/{quote(genre)}")
            listed = orjson.loads(body)["data"][genre] if status == 200 else []
            if sorted(listed) != sorted(expected):
                judge.verdict.convict("genre list", f"{genre}: {listed}, expected {expected}")
