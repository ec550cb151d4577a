"""The SQLite file: who may open it, what a crash and a full disk leave of it."""

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from config import Config, ConfigError
from db.embedded import EmbeddedStore
from db.embedded_file import SCHEMA_VERSION, use_wal
from db.version import Expected, new_id
from db.video import Changes
from errors import Unavailable
from tests.db.samples import draft, genre_name, listed
from tests.db.store_lines import lines, rows_of

ROOT = Path(__file__).parents[2]
OPENER = """
import asyncio, sys, time
from db.embedded import EmbeddedStore
async def main():
    store = EmbeddedStore(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    print(await store.identity(), flush=True)
    await store.close()
asyncio.run(main())
"""
WRITER = """
import asyncio, sys
from db.embedded import EmbeddedStore
from db.version import Expected, new_id
from db.video import Changes, parse_draft
async def main():
    store = EmbeddedStore(sys.argv[1])
    await store.open()
    values = parse_draft({"title": "x", "genres": ["a", "b"], "isMovie": True})
    while True:
        row = await store.create(new_id(), values, None)
        await store.update(row["id"], Changes({"genres": ["b", "c"]}), Expected())
        print(row["id"], flush=True)
asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(str(path))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def config_of(path: Path) -> Config:
    return Config(embedded_path=str(path))


@contextlib.contextmanager
def running(program: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_processes_that_open_a_new_file_at_once_agree_on_it(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        path = tmp_path / "new.sqlite3"
        processes = [stack.enter_context(running(OPENER, path)) for _ in range(3)]
        assert [said(process) for process in processes] == ["ready"] * 3
        for process in processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        identities = {said(process) for process in processes}
    assert len(identities) == 1
    assert "" not in identities


async def test_stores_that_open_a_new_file_at_once_agree_on_it(tmp_path: Path) -> None:
    for number in range(10):
        stores = [EmbeddedStore(str(tmp_path / f"{number}.sqlite3")) for _ in range(6)]
        await asyncio.gather(*(store.open() for store in stores))
        assert len({await store.identity() for store in stores}) == 1
        await asyncio.gather(*(store.close() for store in stores))


class LockedOnce(sqlite3.Connection):
    """What one of some hundred processes meets that open a new file at once (seen: 1 of 360)."""

    locked = True

    def execute(self, *args: Any) -> sqlite3.Cursor:
        if self.locked:
            self.locked = False
            raise sqlite3.OperationalError("database is locked")
        return super().execute(*args)


def test_a_file_that_another_process_switches_to_wal_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite3"
    with contextlib.closing(sqlite3.connect(path, factory=LockedOnce)) as connection:
        use_wal(connection)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_file_keeps_its_rows_and_its_identity(tmp_path: Path) -> None:
    path, genre = tmp_path / "content.sqlite3", genre_name()
    async with opened(path) as store:
        row = await store.create(new_id(), draft(genre), None)
        identity = await store.identity()
    assert os.listdir(tmp_path) == [path.name]
    async with opened(path) as store:
        assert await store.video(row["id"]) == row
        assert await store.genre(genre) == [row["id"]]
        assert await store.identity() == identity
    async with opened(tmp_path / "other.sqlite3") as other:
        assert await other.identity() != identity


async def test_two_stores_on_one_file_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "content.sqlite3"
    async with opened(path) as one, opened(path) as two:
        row = await one.create(new_id(), draft(), None)
        assert await two.video(row["id"]) == row
        written = await two.update(row["id"], Changes({"title": "New"}), Expected())
        assert await one.video(row["id"]) == written.after
        assert await one.ids(None, 10) == await two.ids(None, 10) == [row["id"]]


def text_file(path: Path) -> None:
    path.write_text("not a database at all, whatever the name says\n" * 100)


def folder(path: Path) -> None:
    path.mkdir()


def database_of_another_program(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE video (id TEXT)")


@pytest.mark.parametrize("make", [text_file, folder, database_of_another_program])
async def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path, make: object) -> None:
    path = tmp_path / "content.sqlite3"
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else None
    store = EmbeddedStore(str(path))
    with pytest.raises(ConfigError, match="EMBEDDED_PATH"):
        await store.open()
    assert store.state()[0] == "down"
    assert (path.read_bytes() if path.is_file() else None) == before
    assert os.listdir(tmp_path) == [path.name]


async def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="EMBEDDED_PATH cannot be used"):
        await EmbeddedStore(str(tmp_path / "absent" / "content.sqlite3")).open()


@pytest.mark.parametrize("version", [1, SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
async def test_a_file_of_another_release_is_refused(tmp_path: Path, version: int) -> None:
    path = tmp_path / "content.sqlite3"
    async with opened(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(ConfigError, match=r"another release.*delete the file and im") as refused:
        await EmbeddedStore(str(path)).open()
    assert "\n" not in str(refused.value)


async def test_a_full_disk_refuses_writes_and_goes_on_reading(tmp_path: Path) -> None:
    path, genre = tmp_path / "content.sqlite3", genre_name()
    async with opened(path) as store:
        row = await store.create(new_id(), draft(genre), None)
        size = os.stat(f"{path}-wal").st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        try:
            with pytest.raises(Unavailable):
                await store.create(new_id(), draft(genre, description="x" * 9_000), None)
            assert await store.genre(genre) == [row["id"]]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        second = await store.create(new_id(), draft(genre), None)
        assert await store.genre(genre) == [second["id"], row["id"]]


async def test_a_killed_writer_leaves_whole_writes(tmp_path: Path) -> None:
    path = tmp_path / "content.sqlite3"
    with running(WRITER, path) as process:
        acknowledged = {said(process) for _ in range(20)}
        process.send_signal(signal.SIGKILL)
        assert process.stdout
        acknowledged |= {line.strip() for line in process.stdout if line.endswith("\n")}
    async with opened(path) as store:
        rows = [stored.row for stored in await rows_of(store, config_of(path))]
        assert acknowledged <= {row["id"] for row in rows}
        found = sorted((line[0], line[2]) for line in await lines(store, config_of(path)))
        assert found == sorted((genre, row["id"]) for row in rows for genre in row["genres"])
        assert await listed(store, "b") != []
