"""Writes to Cassandra: lightweight transactions, and their unknown outcomes.

Order: the row first, its lines after it, and only by the writer whose transaction held. So a crash
in between leaves a list that names a row which is gone (DELETE), or lacks a row which is there
(POST, PATCH), until the next write of the row or ``python -m db.catalog repair``.

A deletion is recorded in the table ``deleted`` before its transaction, with all genres in which the
life may have lines. A record of a deletion that did not hold does no harm, because every reader of
``deleted`` knows first whether the row lives.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from db.background import Background
from db.cassandra import UNSET, Cassandra
from db.cassandra_lines import DROP, PUT, Life, Lines
from db.fields import COLUMNS
from db.store import Stored
from db.video import Row, shape
from errors import Late, OutcomeUnknown, ServiceError, Unavailable

__all__ = ["DROP", "PUT"]

logger = logging.getLogger("content")

NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_MARKS = ", ".join("?" * (len(COLUMNS) + 2))
_SET = ", ".join(f'"{name}" = ?' for name in COLUMNS if name != "id")
_HIDDEN_NAMES = ("created", "request_hash", "listed")
_HIDDEN = ", ".join(_HIDDEN_NAMES)
SCAN = f"SELECT JSON {NAMES}, {_HIDDEN} FROM video"
FIND = f"{SCAN} WHERE id = ?"
CREATE = f"INSERT INTO video ({NAMES}, {_HIDDEN}) VALUES ({_MARKS}, ?) IF NOT EXISTS"
UPDATE = f"UPDATE video SET {_SET}, listed = ? WHERE id = ? IF lastupdated = ?"
DELETE = "DELETE FROM video WHERE id = ? IF lastupdated = ?"
LIVES = "SELECT created, genres FROM deleted WHERE id = ?"
END = "UPDATE deleted SET genres = genres + ? WHERE id = ? AND created = ?"
STATEMENTS = (FIND, CREATE, UPDATE, DELETE, LIVES, END)

SETTLE_S = 30.0
RETRY_S = 0.5
LISTED_MAX = 100
"""How many genres ``listed`` may have before lines that are left over are dropped first."""


class Found(NamedTuple):
    """A row as it is stored; ``listed`` is None while the loader has not written all its lines."""

    stored: Stored
    listed: frozenset[str] | None

    @property
    def row(self) -> Row:
        return self.stored.row

    @property
    def life(self) -> Life:
        genres = frozenset(self.row["genres"])
        listed = genres if self.listed is None else self.listed | genres
        return Life(self.row["id"], self.stored.created, self.row["lastupdated"], genres, listed)


Holds = Callable[[Found | None], bool]
"""Whether a row shows that a write was done."""


def parse(json: str) -> Found:
    """Return a row that Cassandra rendered, with its hidden columns."""
    row: Row = orjson.loads(json)
    created, request_hash, listed = (row.pop(name) for name in _HIDDEN_NAMES)
    whole = None if listed is None else frozenset(listed)
    return Found(Stored(shape(row), created, request_hash), whole)


def values_of(stored: Stored) -> list[Any]:
    """A row's columns as CREATE and the loader bind them; absent ones are left alone."""
    row = stored.row
    shown = [UNSET if row.get(name) is None else row[name] for name in COLUMNS]
    return [*shown, stored.created, UNSET if stored.request_hash is None else stored.request_hash]


class Writes:
    """Makes, swaps and removes rows, together with their lines in the lists."""

    def __init__(self, cassandra: Cassandra) -> None:
        self._cassandra = cassandra
        self.background = Background()
        self.lines = Lines(cassandra, self.background)

    async def find(self, video_id: str) -> Found | None:
        """The row after every transaction that was under way; None: no row."""
        result = await self._cassandra.execute(FIND, (video_id,), read=True, serial=True)
        found = result.first()
        return None if found is None else parse(found.column_value_by_index(0))

    async def earlier(self, video_id: str) -> list[Life]:
        """Return the lives whose deletion was recorded. Those of them are over that are not the
        life of a row found, or made, afterwards."""
        result = await self._cassandra.execute(LIVES, (video_id,), read=True)
        lives = (
            (row.column_value_by_index(0), row.column_value_by_index(1)) for row in result.all()
        )
        none: frozenset[str] = frozenset()
        return [Life(video_id, created, created, none, frozenset(had)) for created, had in lives]

    async def insert(self, stored: Stored) -> bool:
        """Makes the row; False when one is there already."""
        life = Found(stored, None).life

        def holds(found: Found | None) -> bool:
            return found is not None and found.stored.created == stored.created

        return await self._decide(CREATE, [*values_of(stored), sorted(life.listed)], holds, life)

    async def swap(self, before: Found, after: Row) -> bool:
        """Writes ``after`` where ``before`` still is; False when it is not."""
        life = before.life
        genres = frozenset(after["genres"])
        if len(life.listed | genres) > LISTED_MAX:
            kept = life.genres | genres
            # at the time of ``before``: no line of a later version is dropped
            await self.lines.drop(life.lines(life.listed - kept))
            life = life._replace(listed=kept)
        life = life._replace(
            version=after["lastupdated"], genres=genres, listed=life.listed | genres
        )

        def holds(found: Found | None) -> bool:
            return found is not None and found.row["lastupdated"] == after["lastupdated"]

        row = before.row
        changed = [
            UNSET if after.get(name) == row.get(name) else after.get(name)
            for name in COLUMNS
            if name != "id"
        ]
        values = [*changed, sorted(life.listed), row["id"], row["lastupdated"]]
        return await self._decide(UPDATE, values, holds, life)

    async def remove(self, before: Found) -> bool:
        """Delete ``before`` where it still is. Raise Late if the deletion cannot be recorded; then
        it was not done."""
        life = before.life

        def holds(found: Found | None) -> bool:
            return found is None or found.stored.created != life.created

        await self._cassandra.execute(END, (sorted(life.listed), life.video_id, life.created))
        values = [life.video_id, before.row["lastupdated"]]
        return await self._decide(DELETE, values, holds, life.ended())

    async def _decide(self, cql: str, values: list[Any], holds: Holds, life: Life) -> bool:
        """Executes a transaction; when the answer is late, asks what became of it. Raises
        OutcomeUnknown when that is late, too. ``life`` is what the lists follow if it held."""
        try:
            result = await self._cassandra.execute(cql, values)
        except Late:
            try:
                held = await self._look(cql, values, holds, life)
            except (Late, Unavailable):
                held = None
            if held is None:
                settled = self.background.spawn(self._settle(cql, values, holds, life))
                raise OutcomeUnknown(settled) from None
            if cql == UPDATE and not held:  # it may have held before another writer's did
                raise OutcomeUnknown(_ended()) from None
            return held
        applied = bool(result.first().column_value_by_index(0))
        if applied:
            await self.lines.follow(life)
        return applied

    async def _look(self, cql: str, values: list[Any], holds: Holds, life: Life) -> bool | None:
        """Whether a transaction of unknown outcome holds; None: not known yet.

        An UPDATE or DELETE is executed again. A delayed copy of the first attempt then fails its
        condition; a serial read would not stop that copy. A CREATE is not executed again, because
        it would bring back a row that was deleted since. As long as its own row is not found, a
        delayed copy may still hold, also when another row stands there now and is deleted later.
        """
        if cql != CREATE:
            result = await self._cassandra.execute(cql, values)
            if result.first().column_value_by_index(0):
                await self.lines.follow(life)
                return True
        found = await self.find(life.video_id)
        held = holds(found)
        if cql == CREATE and not held:
            return None
        await self._mend(found, life)
        return held

    async def _mend(self, found: Found | None, life: Life) -> None:
        """Bring the lists up to whatever row there is now.

        The transaction may have held and been overtaken by other writers. Of a life that is over
        all lines are dropped; those of another life are left to its own writers.
        """
        if found is not None and found.stored.created == life.created:
            await self.lines.follow(found.life)
        else:
            await self.lines.follow(life.ended())

    async def _settle(self, cql: str, values: list[Any], holds: Holds, life: Life) -> None:
        """Find out what became of a write, for as long as SETTLE_S, and finish it if it held. Raise
        Late if that is still not known."""
        deadline = asyncio.get_running_loop().time() + SETTLE_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                if await self._look(cql, values, holds, life) is not None:
                    return
            except ServiceError:
                pass
            except Exception:
                logger.exception("the outcome of a write to %s cannot be asked", life.video_id)
            await self.background.pause(RETRY_S)
        logger.error("the outcome of a write to %s is still unknown", life.video_id)
        raise Late()


def _ended() -> asyncio.Future[None]:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    return ended
