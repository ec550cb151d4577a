"""The list of genres is kept in one place, ``cache/genres.py``, which bounds its age."""

from __future__ import annotations

from typing import Any

import pytest

from config import Config
from db.cassandra_store import CassandraStore


class Column:
    def __init__(self, value: str) -> None:
        self.value = value

    def column_value_by_index(self, index: int) -> str:
        return self.value


class Result:
    def __init__(self, *values: str) -> None:
        self.values = values

    def all(self) -> list[Column]:
        return [Column(value) for value in self.values]


async def test_who_asks_for_genres_gets_those_there_are_now(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list kept here, too, and read again behind the caller's back, would double its age."""
    store, results = CassandraStore(Config()), [Result("A"), Result("B", "A")]

    async def execute(*_: Any, **__: Any) -> Result:
        return results.pop(0)

    monkeypatch.setattr(store._cassandra, "execute", execute)
    assert await store.genres() == ["A"]
    assert await store.genres() == ["A", "B"]
