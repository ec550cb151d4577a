"""Promises of the embedded store alone: its threads, its locks, and Cassandra's order in SQLite."""

import asyncio
import contextlib
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db import embedded_file
from db.embedded import EmbeddedStore, position
from db.embedded_file import FileConnection
from db.health import Health
from db.store import IDENTITY
from db.version import Expected, make_version, new_id
from db.video import Changes
from errors import NotFound, Unavailable
from tests.cache.redis_world import until
from tests.db.samples import draft, genre_name, loaded, long_ago
from tests.db.store_lines import created_at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "content.sqlite3"


@pytest.fixture
async def embedded(path: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(str(path))
    await store.open()
    yield store
    await store.close()


@contextlib.contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Another process's write that takes its time."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_reads_go_on_while_a_write_waits(embedded: EmbeddedStore, path: Path) -> None:
    genre = genre_name()
    row = await embedded.create(new_id(), draft(genre), None)
    with write_lock(path):
        waiting = asyncio.create_task(
            embedded.update(row["id"], Changes({"title": "New"}), Expected())
        )
        # were the loop blocked, the write would be over (refused) before these have run
        for _ in range(50):
            assert await embedded.video(row["id"]) == row
            assert await embedded.genre(genre) == [row["id"]]
            assert await embedded.ids(None, 10) == [row["id"]]
            assert await embedded.genres() == [genre]
            await asyncio.sleep(0.001)
        assert not waiting.done()
    written = await waiting
    assert await embedded.video(row["id"]) == written.after


@pytest.mark.timeout(20)  # and not 20 times as long as one
async def test_a_lock_that_stays_refuses_every_write_after_the_same_time(
    embedded: EmbeddedStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_file, "BUSY_S", 1.5)
    video_id = new_id()
    with write_lock(path):
        began = asyncio.get_running_loop().time()
        results = await asyncio.gather(
            *(embedded.create(video_id, draft(), "hash") for _ in range(20)), return_exceptions=True
        )
        took_s = asyncio.get_running_loop().time() - began
    assert all(isinstance(result, Unavailable) for result in results)
    assert took_s > 1.4
    with pytest.raises(NotFound):
        await embedded.video(video_id)
    assert (await embedded.create(video_id, draft(), "hash"))["id"] == video_id


async def test_a_write_whose_caller_left_goes_on_to_its_end(
    embedded: EmbeddedStore, path: Path
) -> None:
    genre = genre_name()
    running, queued = new_id(), new_id()
    with write_lock(path):
        tasks = [
            asyncio.create_task(embedded.create(video_id, draft(genre), None))
            for video_id in (running, queued)
        ]
        await asyncio.sleep(0)
        await until(lambda: embedded._writer._executor._work_queue.qsize() == 1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await embedded.create(new_id(), draft(), None)  # behind them in the queue
    assert await embedded.genre(genre) == [running]
    assert (await embedded.video(running))["genres"] == [genre]
    with pytest.raises(NotFound):
        await embedded.video(queued)


async def test_a_write_that_fails_halfway_leaves_nothing(embedded: EmbeddedStore) -> None:
    good, bad = loaded(long_ago()), loaded(long_ago())._replace(created="no timeuuid")
    with pytest.raises(ValueError, match="invalid literal"):
        await embedded.load([good, bad])
    assert await embedded.ids(None, 10) == []
    await embedded.load([good])
    assert await embedded.ids(None, 10) == [good.row["id"]]


async def test_close_lets_writes_finish(path: Path) -> None:
    store = EmbeddedStore(str(path))
    await store.open()
    ids = [new_id() for _ in range(20)]
    tasks = [asyncio.create_task(store.create(video_id, draft(), None)) for video_id in ids]
    await asyncio.sleep(0)
    await store.close()
    assert {row["id"] for row in await asyncio.gather(*tasks)} == set(ids)
    again = EmbeddedStore(str(path))
    await again.open()
    assert sorted(ids) == await again.ids(None, 100)
    await again.close()


async def test_a_store_that_is_not_open_is_away(path: Path) -> None:
    store = EmbeddedStore(str(path))
    assert store.state() == ("starting", "not opened yet")

    async def refused() -> None:
        for call in (
            store.video(new_id()),
            store.genre("a"),
            store.ids(None, 1),
            store.random_id(),
            store.genres(),
            store.create(new_id(), draft(), None),
            store.load([loaded(long_ago())]),
        ):
            with pytest.raises(Unavailable):
                await call

    await refused()
    with pytest.raises(Unavailable):
        await store.identity()
    await store.open()
    assert store.state() == ("up", "")
    await store.close()
    await store.close()
    assert store.state()[0] == "down"
    await refused()


async def test_what_a_damaged_file_lost_is_an_outage_and_never_another_row(path: Path) -> None:
    store = EmbeddedStore(str(path))
    await store.open()
    rows = [loaded(long_ago(number), description="x" * 3_000) for number in range(200)]
    await store.load(rows)
    await store.close()
    damage(path)
    store = EmbeddedStore(str(path))
    await store.open()
    ids = [stored.row["id"] for stored in rows]
    outcomes = await asyncio.gather(*map(store.video, ids), return_exceptions=True)
    await store.close()
    found = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert all(row in [stored.row for stored in rows] for row in found)
    assert 0 < len(found) < len(rows)
    assert any(isinstance(outcome, Unavailable) for outcome in outcomes)


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100_000)
        file.write(b"\xff" * 400_000)


async def test_a_mistake_of_ours_is_not_an_outage(path: Path) -> None:
    def fail(kind: type[sqlite3.Error]) -> None:
        raise kind("x")

    health = Health("SQLite")
    connection = FileConnection("test", health)
    await connection.open(str(path), writes=True)
    health.answered()
    with pytest.raises(sqlite3.ProgrammingError, match="binding"):
        await connection.read(lambda c: c.execute("SELECT ?"))
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        await connection.write(lambda c: c.execute("INSERT INTO about SELECT * FROM about"))
    assert health.state == ("up", "")
    for kind in (sqlite3.OperationalError, sqlite3.DatabaseError, sqlite3.DataError):
        with pytest.raises(Unavailable):
            await connection.read(lambda c, kind=kind: fail(kind))  # type: ignore[misc] # a loop
        assert health.state[0] == "degraded"
    await connection.close()


async def test_a_renewal_that_fails_leaves_the_identity(
    embedded: EmbeddedStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_file, "BUSY_S", 0.1)
    identity = await embedded.identity()
    with write_lock(path), pytest.raises(Unavailable):
        await embedded.set_note(IDENTITY, new_id())
    assert await embedded.identity() == identity


async def test_a_renewal_by_another_process_is_seen(embedded: EmbeddedStore, path: Path) -> None:
    before = await embedded.identity()
    other = EmbeddedStore(str(path))
    await other.open()
    await other.set_note(IDENTITY, new_id())
    assert await embedded.identity() == await other.identity() != before
    await other.close()


timeuuids = st.builds(
    make_version, st.integers(0, 2**50), st.binary(min_size=8, max_size=8)
) | st.builds(
    lambda number: str(uuid.UUID(int=number & ~(0xF << 76 | 3 << 62) | 1 << 76 | 2 << 62)),
    st.integers(0, 2**128 - 1),
)


def cassandra_order(created: str) -> tuple[int, list[int]]:
    """``TimeUUIDType.compareCustom``: the timestamp, then each further byte as a signed one."""
    value = uuid.UUID(created)
    return value.time, [byte - 256 if byte > 127 else byte for byte in value.bytes[8:]]


@given(one=timeuuids, other=timeuuids)
def test_positions_ascend_as_timeuuids_descend_in_cassandra(one: str, other: str) -> None:
    ahead = position(one) < position(other)
    assert ahead == (cassandra_order(one) > cassandra_order(other))


@given(created=timeuuids)
def test_a_position_tells_when_the_row_was_added(created: str) -> None:
    assert created_at(position(created)) == created
    assert len(position(created)) == 16
