"""The embedded store says that it fails, and why, on real files."""

import os
import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from db import embedded_file
from db.embedded import EmbeddedStore
from db.version import Expected, new_id
from db.video import Changes
from errors import NotFound, Unavailable
from tests.db.samples import draft


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "content.sqlite3"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(str(path))
    await store.open()
    yield store
    await store.close()


async def make(store: EmbeddedStore, size: int = 1) -> str:
    row = await store.create(new_id(), draft(description="x" * size), None)
    return str(row["id"])


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """As on a full disk: SQLite gets EFBIG where it would get ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_degrades_until_a_write_works(
    store: EmbeddedStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video_id = await make(store)
    caplog.set_level("INFO", "content")
    with files_of_at_most(os.stat(f"{path}-wal").st_size + 100):
        with pytest.raises(Unavailable):
            await make(store, 9_000)
        for _ in range(2):
            await store.video(video_id)  # reads go on, and say nothing of writes
            await store.ids(None, 10)
            assert store.state()[0] == "degraded"
            assert "writes fail: disk I/O error" in store.state()[1]
    await make(store)
    assert store.state() == ("up", "")
    assert caplog.messages == ["SQLite: writes fail: disk I/O error", "SQLite: writes work again"]


async def test_a_lock_that_stays_degrades_until_it_is_gone(
    store: EmbeddedStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_file, "BUSY_S", 0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await make(store)
        assert store.state() == ("degraded", "writes fail: database is locked")
        other.execute("ROLLBACK")
    await make(store)
    assert store.state() == ("up", "")


async def test_a_refused_request_is_no_failure_of_the_store(store: EmbeddedStore) -> None:
    with pytest.raises(NotFound):
        await store.video(new_id())
    video_id = await make(store)
    with pytest.raises(Exception, match="another body"):
        await store.create(video_id, draft(), "hash")
    assert store.state() == ("up", "")


def checkpoint(path: Path) -> None:
    """Move everything from the log to the file, so that the log cannot mend it."""
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def noise(path: Path, at: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(os.urandom(size))


ASKED: dict[str, Callable[[EmbeddedStore, str], Awaitable[object]]] = {
    "video": lambda store, video_id: store.video(video_id),
    "update": lambda store, video_id: store.update(video_id, Changes({"title": "x"}), Expected()),
    "delete": lambda store, video_id: store.delete(video_id, Expected()),
    "create": lambda store, video_id: store.create(video_id, draft(), "hash"),
}


@pytest.mark.parametrize("damage", ["body = x'7b'", "request_hash = CAST(x'ff' AS TEXT)"])
@pytest.mark.parametrize("name", ASKED)
async def test_a_row_that_cannot_be_decoded_is_damage(
    store: EmbeddedStore, path: Path, name: str, damage: str
) -> None:
    video_id = await make(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TRIGGER video_changed")  # which would refuse such a body
        other.execute(f"UPDATE video SET {damage}")
    with pytest.raises(Unavailable):
        await ASKED[name](store, video_id)
    state, reason = store.state()
    assert state == "degraded"
    assert reason.startswith(embedded_file.DAMAGE)
    with pytest.raises(Unavailable):
        await make(store)


async def test_a_write_finds_noise_over_the_beginning_of_the_file(
    store: EmbeddedStore, path: Path
) -> None:
    await make(store)
    checkpoint(path)
    noise(path, 0, 20_000)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await make(store)
    state, reason = store.state()
    assert state == "degraded"
    assert "file is not a database" in reason


async def test_damage_that_a_read_finds_refuses_writes_for_good(
    store: EmbeddedStore, path: Path
) -> None:
    ids = [await make(store, 3_000) for _ in range(100)]
    checkpoint(path)
    noise(path, os.stat(path).st_size // 2, 100_000)
    kept = []
    for video_id in ids:
        try:
            await store.video(video_id)
            kept.append(video_id)
        except Unavailable:
            assert store.state()[0] == "degraded"
    assert 0 < len(kept) < len(ids)
    with pytest.raises(Unavailable):
        await make(store)
    for video_id in kept:
        await store.video(video_id)  # what can be read is read
    assert store.state()[0] == "degraded"
