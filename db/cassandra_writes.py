"""Writes to Cassandra: lightweight transactions, their unknown outcomes, and the genre lists.

Order: the row first, its genre lists after it, and only by the writer whose transaction held. So a
crash in between leaves a list that names a row which is gone (DELETE), or lacks one that is there
(POST, PATCH), until ``python -m db.catalog repair``; no list follows a write that did not hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import orjson

from db.cassandra import UNSET, Cassandra
from db.fields import COLUMNS
from db.store import Entry, Stored, Written
from db.version import next_version, version_us
from db.video import Row, genres_left, shape
from errors import Late, OutcomeUnknown, ServiceError, Unavailable

logger = logging.getLogger("content")

NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_MARKS = ", ".join("?" * (len(COLUMNS) + 2))
_SET = ", ".join(f'"{name}" = ?' for name in COLUMNS if name != "id")
SCAN = f"SELECT JSON {NAMES}, created, request_hash FROM video"
FIND = f"{SCAN} WHERE id = ?"
CREATE = f"INSERT INTO video ({NAMES}, created, request_hash) VALUES ({_MARKS}) IF NOT EXISTS"
UPDATE = f"UPDATE video SET {_SET} WHERE id = ? IF lastupdated = ?"
DELETE = "DELETE FROM video WHERE id = ? IF lastupdated = ?"
PUT = (
    "INSERT INTO video_by_genre (genre, created, id, version) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
)
DROP = "DELETE FROM video_by_genre USING TIMESTAMP ? WHERE genre = ? AND created = ? AND id = ?"
STATEMENTS = (FIND, CREATE, UPDATE, DELETE, PUT, DROP)

SETTLE_S = 30.0
RETRY_S = 0.5


T = TypeVar("T")


Holds = Callable[[Stored | None], bool]
"""Whether a row shows that a write was done."""
Lines = tuple[Written, str, str]
"""What ``relist`` needs: the write, when the row was added, and the version that causes it."""


def parse(json: str) -> Stored:
    """A row that Cassandra rendered with what it does not show."""
    row: Row = orjson.loads(json)
    created, request_hash = row.pop("created"), row.pop("request_hash")
    return Stored(shape(row), created, request_hash)


def values_of(stored: Stored) -> list[Any]:
    """A row's columns as CREATE and the loader bind them; absent ones are left alone."""
    row = stored.row
    shown = [UNSET if row.get(name) is None else row[name] for name in COLUMNS]
    return [*shown, stored.created, UNSET if stored.request_hash is None else stored.request_hash]


class Writes:
    """Makes, swaps and removes rows, together with their lines in the lists."""

    def __init__(self, cassandra: Cassandra) -> None:
        self._cassandra = cassandra
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Runs ``work`` as a task of its own: whoever waits for it may be cancelled, it may not."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self, patience_s: float) -> None:
        """Lets what is under way finish, for so long; gives up the rest."""
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=patience_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def find(self, video_id: str) -> Stored | None:
        """The row after every transaction that was under way; None: no row."""
        result = await self._cassandra.execute(FIND, (video_id,), read=True, serial=True)
        found = result.first()
        return None if found is None else parse(found.column_value_by_index(0))

    async def insert(self, stored: Stored) -> bool:
        """Makes the row; False when one is there already."""
        row = stored.row

        def holds(found: Stored | None) -> bool:
            return found is not None and found.created == stored.created

        then = Written(None, row), stored.created, row["lastupdated"]
        return await self._decide(CREATE, values_of(stored), row["id"], holds, then)

    async def swap(self, before: Row, after: Row, created: str) -> bool:
        """Writes ``after`` where ``before`` still is; False when it is not."""

        def holds(found: Stored | None) -> bool:
            return found is not None and found.row["lastupdated"] == after["lastupdated"]

        changed = [
            UNSET if after.get(name) == before.get(name) else after.get(name)
            for name in COLUMNS
            if name != "id"
        ]
        values = [*changed, before["id"], before["lastupdated"]]
        then = Written(before, after), created, after["lastupdated"]
        return await self._decide(UPDATE, values, before["id"], holds, then)

    async def remove(self, before: Row, created: str, version: str) -> bool:
        """Deletes ``before`` where it still is; ``version`` is the deletion's own."""

        def holds(found: Stored | None) -> bool:
            return found is None or found.created != created

        then = Written(before, None), created, version
        return await self._decide(
            DELETE, [before["id"], before["lastupdated"]], before["id"], holds, then
        )

    async def _decide(
        self, cql: str, values: list[Any], video_id: str, holds: Holds, then: Lines
    ) -> bool:
        """Executes a transaction; when the answer is late, asks what became of it. Raises
        OutcomeUnknown when that is late, too."""
        try:
            result = await self._cassandra.execute(cql, values)
        except Late:
            try:
                held = await self._look(cql, values, video_id, holds, then)
            except (Late, Unavailable):
                held = None
            if held is None:
                settled = self.spawn(self._settle(cql, values, video_id, holds, then))
                raise OutcomeUnknown(settled) from None
            return held
        applied = bool(result.first().column_value_by_index(0))
        if applied:
            await self.relist(*then)
        return applied

    async def _look(
        self, cql: str, values: list[Any], video_id: str, holds: Holds, then: Lines
    ) -> bool | None:
        """Whether a transaction of unknown outcome holds; None: not known yet. An UPDATE or DELETE
        is executed again: whatever the answer, a first one that a frozen node still has is refused
        from then on, where a serial read could pass it. A CREATE is not: if it held, and the row
        was deleted since, it would bring it back."""
        if cql != CREATE:
            result = await self._cassandra.execute(cql, values)
            if result.first().column_value_by_index(0):
                await self.relist(*then)
                return True
        found = await self.find(video_id)
        if holds(found):
            await self.relist(*then)
            return True
        if cql == CREATE and found is None:
            return None
        await self._mend(found, then)
        return False

    async def _mend(self, found: Stored | None, then: Lines) -> None:
        """Brings the lists up to whatever row there is now. The transaction may have held and been
        overtaken by a writer who took its genres for listed already."""
        (before, after), created, version = then
        genres = {genre for row in (before, after) if row is not None for genre in row["genres"]}
        row = after or before
        assert row is not None
        union: Row = {"id": row["id"], "genres": sorted(genres)}
        if found is None:
            await self.relist(Written(union, None), created, next_version(version))
        elif found.created == created:
            now = found.row["lastupdated"]
            await self.relist(Written(union, found.row), created, now)
            await self.relist(Written(None, found.row), created, now)

    async def _settle(
        self, cql: str, values: list[Any], video_id: str, holds: Holds, then: Lines
    ) -> None:
        """Finds out what became of a write, for as long as SETTLE_S, and finishes it if it held."""
        deadline = asyncio.get_running_loop().time() + SETTLE_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                if await self._look(cql, values, video_id, holds, then) is not None:
                    return
            except ServiceError:
                pass
            await asyncio.sleep(RETRY_S)
        logger.error("the outcome of a write to %s is still unknown", video_id)

    async def relist(self, written: Written, created: str, version: str) -> None:
        """Brings the lists up to the row. The row is written, so a list that cannot follow at
        once is no failure of the write: it follows in the background."""
        gone, came = genres_left(written.before, written.after)
        row = written.after or written.before
        assert row is not None
        lines = [(self.drop_entry, genre) for genre in gone]
        lines += [(self.put_entry, genre) for genre in came]
        done = await asyncio.gather(
            *(write(Entry(genre, created, row["id"], version)) for write, genre in lines),
            return_exceptions=True,
        )
        if failed := [error for error in done if isinstance(error, BaseException)]:
            logger.warning("the lists of %s are late: %s", row["id"], failed[0])
            self.spawn(self._relist_later(written, created, version))

    async def _relist_later(self, written: Written, created: str, version: str) -> None:
        await asyncio.sleep(RETRY_S)
        await self.relist(written, created, version)

    async def put_entry(self, entry: Entry) -> None:
        await self._cassandra.execute(PUT, (*entry, version_us(entry.version)))

    async def drop_entry(self, entry: Entry) -> None:
        genre, created, video_id, version = entry
        await self._cassandra.execute(DROP, (version_us(version), genre, created, video_id))
