"""The random run of writers (``bench/consistency/lives.py``) in short; it can find faults."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bench.consistency.lives import Options, look, run_cassandra, run_embedded
from bench.lab.servers import CassandraNode
from config import Config
from db.embedded import EmbeddedStore, position
from db.version import new_id
from tests.db.samples import draft

SEED = 14


@pytest.mark.timeout(120)
def test_every_row_has_one_line_in_each_of_its_genres_in_the_embedded_store() -> None:
    report = run_embedded(Options(seconds=8, seed=SEED))
    said = "\n".join(report.lines())
    assert not report.faults, said
    assert not report.left, said  # a write is one transaction, so a kill leaves nothing behind
    assert report.outcome.done["kill"] or report.outcome.done["stop"], said


@pytest.mark.timeout(300)
def test_every_row_has_one_line_in_each_of_its_genres_in_cassandra(
    cassandra_node: CassandraNode,
) -> None:
    report = run_cassandra(cassandra_node, Options(seconds=14, seed=SEED, kills=False))
    said = "\n".join(report.lines())
    assert not report.faults, said
    assert min(report.lost.values()) > 0, said
    assert report.outcome.statuses["DELETE 200"], said
    assert report.outcome.statuses["POST 201"], said


async def test_a_line_of_an_earlier_life_and_a_missing_line_are_found(tmp_path: Path) -> None:
    path = str(tmp_path / "content.sqlite3")
    store = EmbeddedStore(path)
    await store.open()
    row = await store.create(new_id(), draft("a", "b"), None)
    version = row["lastupdated"]
    await store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM entry WHERE genre = 'b'")
        line = "c", position(version), row["id"]
        connection.execute("INSERT INTO entry VALUES (?, ?, ?)", line)
    state = await look(Config(embedded_path=path))
    assert state.missing == [str(("b", version, row["id"]))]
    assert state.extra == [str(("c", version, row["id"]))]
    assert state.names == []
    assert len(state.faults) == 2
