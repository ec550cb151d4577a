"""A store whose lists can disagree with its rows, as Cassandra's can after a crash."""

import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson

from db.cassandra.lines import Life
from db.embedded import EmbeddedStore, position
from db.store import GENRE_LIST, Entry, Stored, Written
from db.version import Expected, next_version, version_us
from db.video import Changes, Row
from errors import NotFound

PAGE = 64
_ROWS = "SELECT body, created, request_hash FROM video"


class Lines:
    """Lines with timestamps. An older write of a line never undoes a newer write, however late it
    comes, and at the same microsecond the deletion wins. ``writes`` has those of the repair."""

    def __init__(self) -> None:
        self.writes: list[Entry] = []
        self._at: dict[tuple[str, str, str], tuple[int, Entry | None]] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter([entry for _, entry in self._at.values() if entry])

    async def put(self, entries: Collection[Entry]) -> None:
        self.writes.extend(entries)
        for entry in entries:
            self.write(entry, entry, 0)

    async def drop(self, entries: Collection[Entry]) -> None:
        self.writes.extend(entries)
        for entry in entries:
            self.write(entry, None, 1)

    async def check(self, genre: str) -> None:
        """Do nothing, because ``genres`` reads the lines themselves."""

    def write(self, entry: Entry, after: Entry | None, ahead_us: int) -> None:
        written_us, _ = self._at.get(entry[:3], (0, None))
        if version_us(entry.version) + ahead_us > written_us:
            self._at[entry[:3]] = version_us(entry.version), after


class LooseStore(EmbeddedStore):
    """What the repair sees of a ``CassandraStore``: rows, which are in SQLite, and ``lines``."""

    name = "loose"

    def __init__(self, path: Path, lines: Lines | None = None):
        super().__init__(str(path))
        self.lines = lines or Lines()

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        row = await super().create(video_id, values, request_hash)
        self._relist(row["lastupdated"], row["lastupdated"], Written(None, row))
        return row

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written:
        written = await super().update(video_id, changes, expected)
        found = await self.find(video_id)
        assert found is not None
        self._relist(found.created, found.row["lastupdated"], written)
        return written

    async def delete(self, video_id: str, expected: Expected) -> Written:
        found = await self.find(video_id)
        written = await super().delete(video_id, expected)
        assert found is not None
        self._relist(found.created, next_version(after=found.row["lastupdated"]), written)
        return written

    async def load(self, rows: Sequence[Stored]) -> None:
        known = await self.known({stored.row["id"] for stored in rows})
        await super().load(rows)
        for row, created, *_ in rows:
            if row["id"] not in known:
                self._relist(created, row["lastupdated"], Written(None, row))

    async def find(self, video_id: str) -> Stored | None:
        with closing(sqlite3.connect(self._path)) as connection:
            found = connection.execute(f"{_ROWS} WHERE id = ?", (video_id,)).fetchone()
        return found and Stored(orjson.loads(found[0]), *found[1:])

    async def lives(self, ids: Collection[str]) -> dict[str, Life]:
        lives = {}
        for found in [await self.find(video_id) for video_id in ids]:
            if found:
                row, genres = found.row, frozenset(found.row["genres"])
                lives[row["id"]] = Life(
                    row["id"], found.created, row["lastupdated"], genres, genres
                )
        return lives

    def _relist(self, created: str, version: str, written: Written) -> None:
        row = written.after or written.before
        assert row is not None
        before, after = (set(each["genres"] if each else ()) for each in written)
        for genre in before - after:
            self.lines.write(Entry(genre, created, row["id"], version), None, 1)
        for genre in after:
            entry = Entry(genre, created, row["id"], version)
            self.lines.write(entry, entry, 0)

    async def genre(self, genre: str) -> list[str]:
        found = sorted(
            (position(entry.created), entry.video_id)
            for entry in self.lines
            if entry.genre == genre
        )
        if not found:
            raise NotFound
        return [video_id for _, video_id in found[:GENRE_LIST]]

    async def genres(self) -> list[str]:
        return sorted({entry.genre for entry in self.lines})

    async def entries(self) -> AsyncIterator[list[Entry]]:
        entries = list(self.lines)
        for start in range(0, len(entries), PAGE):
            yield entries[start : start + PAGE]
