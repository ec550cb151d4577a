"""Writes to Cassandra: lightweight transactions, and their unknown outcomes.

The order of a write is:

    1. DELETE alone: record the life in the table ``deleted``, with all genres that may have lines
    2. write the row in a transaction
    3. if the transaction held, write the lines

A crash between 2 and 3 leaves a list that names a deleted row (DELETE), or lacks an existing row
(POST, PATCH), until the next write of the row or ``python -m db.catalog repair``. A record of a
deletion that did not hold does no harm, because every reader of ``deleted`` also looks for the row.
"""

import asyncio
import logging
from typing import Any

import orjson

from db.background import Background
from db.cassandra.lines import Life, Lines
from db.cassandra.session import Cassandra
from db.cassandra.statements import UNSET, rows_in
from db.fields import COLUMNS
from db.store import Stored
from db.video import Row, shape
from errors import Late, OutcomeUnknown, ServiceError, Unavailable

logger = logging.getLogger("content")

SETTLE_S = 30.0
RETRY_S, RETRY_MAX_S = 0.5, 10.0
LISTED_MAX = 100
"""With more genres in ``listed``, an update first drops the lines that the row has no more."""


def parse(json: str) -> Stored:
    """Return the row in ``json``, which Cassandra rendered, with its hidden columns."""
    row: Row = orjson.loads(json)
    created, request_hash, listed = row.pop("created"), row.pop("request_hash"), row.pop("listed")
    return Stored(shape(row), created, request_hash, listed)


def values_of(stored: Stored) -> list[Any]:
    """Return the values of ``create_row`` and ``load_row``; UNSET for absent columns."""
    values = [*map(stored.row.get, COLUMNS), stored.created, stored.request_hash]
    return [UNSET if value is None else value for value in values]


def is_done(name: str, life: Life, found: Stored | None) -> bool:
    """Return whether the write ``name``, which makes a row's life ``life``, shows in ``found``."""
    is_there = found is not None and found.created == life.created
    if name == "update_row":
        return found is not None and found.row["lastupdated"] == life.version
    return is_there if name == "create_row" else not is_there


class Writes:
    """The writer of rows, together with their lines in the genre lists."""

    def __init__(self, cassandra: Cassandra) -> None:
        self._cassandra = cassandra
        self.background = Background()
        self.lines = Lines(cassandra, self.background)

    async def find(self, video_id: str) -> Stored | None:
        """Return the row behind every transaction under way, or None if there is no row."""
        found = (await self._cassandra.execute("find_row", (video_id,), serial=True)).first()
        return None if found is None else parse(found.column_value_by_index(0))

    async def earlier(self, video_id: str) -> list[Life]:
        """Return the lives whose deletion was recorded.

        A life is over unless a row that is found or made after this read has its ``created``.
        """
        lives = rows_in(await self._cassandra.execute("ended_lives", (video_id,)))
        none: frozenset[str] = frozenset()
        return [Life(video_id, created, created, none, frozenset(had)) for created, had in lives]

    async def insert(self, stored: Stored) -> bool:
        """Create the row. Return False if there is a row already."""
        life = Life.of(stored)
        values = [*values_of(stored), sorted(life.listed)]
        return await self._decide("create_row", values, life)

    async def swap(self, before: Stored, after: Row) -> bool:
        """Replace ``before`` by ``after``. Return False if the row is not ``before`` any more."""
        life = Life.of(before)
        genres = frozenset(after["genres"])
        if len(life.listed | genres) > LISTED_MAX:
            kept = life.genres | genres
            # with the version of ``before``, so no line of a later version is dropped
            await self.lines.drop(life.lines(life.listed - kept))
            life = life._replace(listed=kept)
        life = life._replace(
            version=after["lastupdated"], genres=genres, listed=life.listed | genres
        )
        row = before.row
        pairs = [(row.get(name), after.get(name)) for name in COLUMNS[1:]]  # all but the id
        changed = [UNSET if new == old else new for old, new in pairs]
        values = [*changed, sorted(life.listed), row["id"], row["lastupdated"]]
        return await self._decide("update_row", values, life)

    async def remove(self, before: Stored) -> bool:
        """Delete ``before``.

        Return False if the row is not ``before`` any more. Raise Late if the deletion cannot be
        recorded; then it was not done.
        """
        life = Life.of(before)
        ended = sorted(life.listed), life.video_id, life.created
        await self._cassandra.execute("end_life", ended)
        values = [life.video_id, before.row["lastupdated"]]
        return await self._decide("delete_row", values, life.ended())

    async def _decide(self, name: str, values: list[Any], life: Life) -> bool:
        """Execute a transaction, and return whether it held.

        If its answer is late, look for the outcome. Raise OutcomeUnknown if that is late, too.
        """
        try:
            return await self._transact(name, values, life)
        except Late:
            try:
                held = await self._look(name, values, life)
            except (Late, Unavailable):
                held = None
            if held is None:
                settled = self.background.spawn(self._settle(name, values, life))
                raise OutcomeUnknown(settled) from None
            if name == "update_row" and not held:  # it may have held, and been overtaken
                raise OutcomeUnknown(_ended()) from None
            return held

    async def _transact(self, name: str, values: list[Any], life: Life) -> bool:
        """Execute a transaction, and return whether it held. If it did, write ``life``'s lines."""
        result = await self._cassandra.execute(name, values)
        held = bool(result.first().column_value_by_index(0))
        if held:
            await self.lines.follow(life)
        return held

    async def _look(
        self, name: str, values: list[Any], life: Life, *, again: bool = True
    ) -> bool | None:
        """Return whether a transaction of unknown outcome held; None if that is still unknown.

        With ``again`` an UPDATE or DELETE is executed again. A delayed copy of the first attempt
        then fails its condition; a serial read would not stop that copy. A CREATE is not executed
        again, because it would bring back a row that was deleted since. As long as its own row is
        not found, a delayed copy may still hold, also when another row stands there now and is
        deleted later.
        """
        if again and name != "create_row" and await self._transact(name, values, life):
            return True
        found = await self.find(life.video_id)
        held = is_done(name, life, found)
        if name == "create_row" and not held:
            return None
        await self._mend(found, life)
        return held

    async def _mend(self, found: Stored | None, life: Life) -> None:
        """Make the lines of ``life`` agree with the row as it is now, ``found``.

        The transaction may have held and been overtaken by other writers. If the life is over, all
        its lines are dropped. The lines of another life are left to that life's writers.
        """
        if found is not None and found.created == life.created:
            await self.lines.follow(Life.of(found))
        else:
            await self.lines.follow(life.ended())

    async def _settle(self, name: str, values: list[Any], life: Life) -> None:
        """Look for the outcome of a write for SETTLE_S, and write its lines if it held.

        If Cassandra does not answer then, look on until it does, because the write may have held
        and the lines may be missing. Such a look executes nothing again: its caller may have read
        meanwhile that the write was not done. Raise Late if the outcome is still unknown.
        """
        loop, pause_s = asyncio.get_running_loop(), RETRY_S
        deadline, is_over = loop.time() + SETTLE_S, False
        while True:
            try:
                held = await self._look(name, values, life, again=not is_over)
                if held is not None:
                    return
                if is_over:
                    break
            except ServiceError:
                if is_over:
                    pause_s = min(2 * pause_s, RETRY_MAX_S)
            except Exception:
                logger.exception("the outcome of a write to %s cannot be asked", life.video_id)
                if is_over:
                    break
            await self.background.pause(pause_s)
            is_over = loop.time() >= deadline
        logger.error("the outcome of a write to %s is still unknown", life.video_id)
        raise Late()


def _ended() -> asyncio.Future[None]:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    return ended
