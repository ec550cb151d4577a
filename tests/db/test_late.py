"""Late lines and late outcomes: the requests that they cost, counted by a stand-in of Cassandra."""

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest

from db.background import Background
from db.cassandra import lines as cassandra_lines
from db.cassandra import writes as cassandra_writes
from db.cassandra.lines import Life, Lines
from db.cassandra.statements import Statements
from db.cassandra.writes import Writes
from db.store import Stored
from db.version import make_version, new_id, next_version
from db.video import build
from errors import Late, OutcomeUnknown, Unavailable
from tests.db.samples import draft, eventually


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value

    def first(self) -> "Answer":
        return self

    def all(self) -> list[Any]:
        return []

    def column_value_by_index(self, _: int) -> Any:
        return self.value


class Away:
    """Refuses lines until it ``works``, and counts the requests."""

    execute_all: Any = Statements.execute_all

    def __init__(self) -> None:
        self.works = False
        self.asked: Counter[str] = Counter()
        self.written: list[tuple[Any, ...]] = []

    async def execute(self, name: str, values: tuple[Any, ...] = (), **_: Any) -> Answer:
        self.asked[name] += 1
        if name in ("put_line", "drop_line") and not self.works:
            raise Unavailable("no quorum")
        self.written.append((name, *values))
        return Answer([])


def life(second: int, *genres: str) -> Life:
    version = make_version(second * 1_000_000, b"12345678")
    return Life("id", "created", version, frozenset(genres), frozenset(genres))


async def test_late_lines_of_a_life_end_with_its_newest_genres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cassandra_lines, "RETRY_S", 0.01)
    away, background = Away(), Background()
    lines = Lines(away, background)  # type: ignore[arg-type]
    for second in range(1, 51):
        genres = frozenset({f"genre {second % 2}"})
        await lines.follow(life(second, "genre 0", "genre 1")._replace(genres=genres))
    away.works = True

    async def all_is_written() -> bool:
        return len([name for name, *_ in away.written if name == "put_line"]) == 50

    await eventually(all_is_written)
    await background.close(0.0)
    newest: dict[str, tuple[int, str]] = {}
    for name, *values in away.written:  # in any order, since the pauses are drawn
        if name in ("put_line", "drop_line"):
            genre, time_us = (
                (values[0], values[4]) if name == "put_line" else (values[1], values[0])
            )
            newest[genre] = max(newest.get(genre, (0, "")), (time_us, name))
    assert {genre for genre, (_, name) in newest.items() if name == "put_line"} == {"genre 0"}


async def test_lines_that_cannot_be_written_are_asked_ever_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cassandra_lines, "RETRY_S", 0.01)
    away, background = Away(), Background()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        away.works = len(pauses) > 20

    monkeypatch.setattr(background, "pause", pause)
    lines = Lines(away, background)  # type: ignore[arg-type]
    await lines.follow(life(1, "genre"))

    async def is_written() -> bool:
        return away.works and bool(away.written)

    await eventually(is_written)
    await background.close(0.0)
    assert max(pauses[:1]) <= 0.01
    assert 0.6 * cassandra_lines.RETRY_MAX_S < pauses[20] <= cassandra_lines.RETRY_MAX_S


class Overtaken:
    """Does an UPDATE whose answer is lost, and another writer's right behind it."""

    execute_all: Any = Statements.execute_all

    def __init__(self, found: bytes) -> None:
        self.found, self.updates = found, 0

    async def execute(self, name: str, values: tuple[Any, ...] = (), **_: Any) -> Answer:
        if name == "update_row":
            self.updates += 1
            if self.updates == 1:
                raise Late()
            return Answer(False)
        return Answer(self.found if name == "find_row" else [])


async def test_an_update_that_was_overtaken_before_its_answer_is_unknown() -> None:
    video_id, created = new_id(), next_version()
    row = build(video_id, created, draft("a"))
    mine, theirs = ({**row, "lastupdated": next_version()} for _ in range(2))
    found = orjson.dumps(
        {"seasons": None, **theirs, "created": created, "request_hash": None, "listed": ["a"]}
    )
    writes = Writes(Overtaken(found))  # type: ignore[arg-type]
    with pytest.raises(OutcomeUnknown) as unknown:
        await writes.swap(Stored(row, created, None, ["a"]), mine)
    assert unknown.value.settled.done()  # no intent has to wait for it
    await writes.background.close(0.0)


class Silent:
    """Does what it is asked, but does not answer until it ``works``."""

    execute_all: Any = Statements.execute_all

    def __init__(self, found: bytes) -> None:
        self.found, self.works = found, False
        self.asked: Counter[str] = Counter()

    async def execute(self, name: str, values: tuple[Any, ...] = (), **_: Any) -> Answer:
        self.asked[name] += 1
        if not self.works:
            raise Late()
        if name == "update_row":
            return Answer(False)
        return Answer(self.found if name == "find_row" else [])


@pytest.mark.parametrize("kind", ["insert", "swap"])
async def test_the_lines_of_an_unknown_write_follow_however_long_cassandra_is_silent(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within SETTLE_S an UPDATE is repeated, later it is only looked for."""
    monkeypatch.setattr(cassandra_writes, "SETTLE_S", 0.05)
    monkeypatch.setattr(cassandra_writes, "RETRY_S", 0.01)
    monkeypatch.setattr(cassandra_writes, "RETRY_MAX_S", 0.01)
    video_id, created = new_id(), next_version()
    row = build(video_id, created, draft("a"))
    after = row if kind == "insert" else {**row, "lastupdated": next_version()}
    found = {"seasons": None, **after, "created": created, "request_hash": None, "listed": ["a"]}
    silent = Silent(orjson.dumps(found))
    writes = Writes(silent)  # type: ignore[arg-type]
    before = Stored(row, created, None, ["a"])
    write = writes.insert(before) if kind == "insert" else writes.swap(before, after)
    with pytest.raises(OutcomeUnknown) as unknown:
        await write
    await asyncio.sleep(0.1)  # twice SETTLE_S
    updates, looks = silent.asked["update_row"], silent.asked["find_row"]
    assert (updates > 2) == (kind == "swap")

    async def looks_on() -> bool:
        return silent.asked["find_row"] > looks

    await eventually(looks_on)
    silent.works = True
    await asyncio.wait_for(unknown.value.settled, 10.0)
    assert silent.asked["put_line"] == 1
    assert silent.asked["update_row"] == updates
    await writes.background.close(0.0)
