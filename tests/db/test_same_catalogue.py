"""The demonstration catalogue is the same bytes from both stores: every row and every list."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import orjson
import pytest

from bench.lab.servers import CassandraNode, settings_of
from bench.lab.targets import CATALOGUE, ROOT
from config import Config
from db.cassandra.store import CassandraStore
from db.store import CatalogueStore, Entry, open_store
from tests.db.samples import eventually
from tests.db.store_lines import flat, lines, rows_of

TITLES = 8_786
AT_ONCE = 20  # more would be shed on a busy machine


def start_import(settings: Mapping[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "db.catalog", "import", CATALOGUE]
    return subprocess.Popen(
        command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@asynccontextmanager
async def opened(settings: Mapping[str, str]) -> AsyncIterator[CatalogueStore]:
    store = open_store(Config.from_env({**settings, "STORE_DEADLINE_S": "10"}))
    await store.open()

    async def is_up() -> bool:
        return store.state()[0] == "up"

    try:
        await eventually(is_up)
        yield store
    finally:
        await store.close()


@pytest.mark.timeout(300)
async def test_both_stores_say_the_same_of_every_title(
    cassandra_node: CassandraNode, tmp_path: Path
) -> None:
    keyspace = f"titles_{uuid.uuid4().hex[:12]}"
    embedded = {"EMBEDDED_PATH": str(tmp_path / "content.sqlite3")}
    cassandra = {**settings_of(cassandra_node), "CASSANDRA_KEYSPACE": keyspace}
    for importer in [start_import(settings) for settings in (embedded, cassandra)]:
        with importer:
            said, _ = await asyncio.to_thread(importer.communicate)
        assert importer.returncode == 0, said

    async with opened(embedded) as ours, opened(cassandra) as theirs:
        genres = await ours.genres()
        assert await theirs.genres() == genres
        assert len(genres) > 40
        for genre in genres:
            assert await theirs.genre(genre) == await ours.genre(genre)

        rows = {each.row["id"]: each for each in await rows_of(ours, Config.from_env(embedded))}
        assert len(rows) == TITLES
        ids = iter(rows)
        while some := list(islice(ids, AT_ONCE)):
            read = await asyncio.gather(*(theirs.video(video_id) for video_id in some))
            for row in read:
                assert orjson.dumps(row) == orjson.dumps(rows[row["id"]].row)
            one = await ours.video(some[0])
            assert orjson.dumps(one) == orjson.dumps(rows[some[0]].row)
        assert isinstance(theirs, CassandraStore)
        scanned = await rows_of(theirs, Config.from_env(cassandra))
        assert {stored.row["id"]: stored for stored in scanned} == rows
        entries = sorted(
            Entry(genre, stored.created, video_id, stored.row["lastupdated"])
            for video_id, stored in rows.items()
            for genre in stored.row["genres"]
        )
        assert sorted(await flat(theirs.entries())) == entries
        own = await lines(ours, Config.from_env(embedded))
        assert sorted(own) == [entry[:3] for entry in entries]
