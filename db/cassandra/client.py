"""Prepared statements, executed within their deadlines, and reads of requests in their turn.

Requests fail at once while Cassandra is known to be away.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import acsylla

from config import Config
from db.cassandra.cluster import DDL_TIMEOUT_S
from db.cassandra.errors import AWAY_MESSAGE, translate
from db.cassandra.limit import Limit
from db.cassandra.session import LEAST_S, Session
from errors import Late, Shed, Unavailable
from priority import urgent

PAGE = 500
SAMPLE_ROWS = 100  # the time of a larger result says little about the store


class Cassandra(Session):
    """Executes ``statements``. ``limit`` bounds the concurrent reads of requests."""

    def __init__(
        self, config: Config, statements: Sequence[str], limit: Limit | None = None
    ) -> None:
        super().__init__(config, statements)
        self.limit = limit or Limit(config.store_reads_max)

    async def execute(
        self,
        cql: str,
        values: Sequence[Any] = (),
        *,
        read: bool = False,
        in_turn: bool = False,
        timeout_s: float | None = None,
        serial: bool = False,
    ) -> Any:
        """Execute a prepared statement, and return the driver's result. A value may be UNSET.

        ``read``: repeat the statement after some errors. ``in_turn``: a read for a request, which
        waits for its turn at ``limit``. ``serial``: a read behind all transactions under way.
        Raise Unavailable, Late, or (``in_turn``) Shed.
        """
        if self.health.is_down:
            raise Unavailable(AWAY_MESSAGE)  # the driver's own error may take a deadline to come
        statement = self._bind(cql, values)
        sort = _sort(cql, serial)
        if serial:  # a read that finishes or discards the Paxos rounds before it
            statement.set_consistency(acsylla.Consistency.LOCAL_SERIAL)
        left_s = self._config.store_deadline_s if timeout_s is None else timeout_s
        if not in_turn:
            return await self._run(statement, left_s, sort, read=read)
        asked = time.monotonic()
        await self.limit.enter(urgent.get())
        began, took_s = time.monotonic(), None
        try:
            if self.health.is_down:  # since the read began to wait
                raise Unavailable(AWAY_MESSAGE)
            left_s = min(left_s, asked + self._config.read_deadline_s - began)
            if left_s < LEAST_S:
                raise Shed(urgent.get())
            result = await self._run(statement, left_s, sort, read=True)
            if result.count() <= SAMPLE_ROWS:
                took_s = time.monotonic() - began
            return result
        except Late:
            took_s = left_s
            raise
        finally:
            self.limit.leave(took_s)

    async def scan(self, cql: str, values: Sequence[Any] = ()) -> AsyncIterator[Any]:
        """Yield the rows of an unbounded read, fetched PAGE rows at a time."""
        if self._session is None:
            raise Unavailable(AWAY_MESSAGE)
        statement: Any = self._prepared[cql].bind(page_size=PAGE)
        statement.bind_list(list(values))
        statement.set_is_idempotent(True)
        statement.set_timeout(DDL_TIMEOUT_S)
        more = True
        while more:
            try:
                result = await self._session.execute(statement)
            except Exception as error:
                raise translate(error) from error
            for row in result.all():
                yield row
            more = result.has_more_pages()
            if more:
                statement.set_page_state(result.page_state())


@functools.cache
def _sort(cql: str, serial: bool) -> str:
    """Return the sort of a statement for ``Health``. A serial read is the first half of a write. If
    it fails, the write fails; if it works, the write may still fail. So it is a sort by itself."""
    table = re.findall(r"(?:FROM|INTO|UPDATE) (\w+)", cql)[0]
    if serial:
        return f"reads before writes to {table}"
    return f"reads of {table}" if cql.startswith("SELECT") else f"writes to {table}"
