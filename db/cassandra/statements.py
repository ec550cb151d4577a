"""Prepared statements, executed within their deadlines, and the meanings of the driver's errors.

Requests fail at once while Cassandra is known to be away.
"""

import asyncio
import functools
import re
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path
from typing import Any

import acsylla
from acsylla import errors as driver

from config import Config
from db.cassandra.limit import Limit
from db.fields import COLUMNS
from db.health import Health
from db.store import statements_of
from errors import Late, Shed, Unavailable
from priority import urgent

CQL = statements_of(
    Path(__file__).with_name("statements.cql"),
    columns=", ".join(f'"{name}"' for name in COLUMNS),
    marks=", ".join("?" * len(COLUMNS)),
    changes=", ".join(f'"{name}" = ?' for name in COLUMNS[1:]),
)
"""All statements by name."""
TRANSACTIONS = frozenset(name for name, cql in CQL.items() if " IF " in cql)

PAGE = 64
SCAN_TIMEOUT_S = 20.0
SAMPLE_ROWS = 100  # the time of a larger result says little about the store
AGAIN_S = 0.03  # the first pause before a read is repeated; each later pause is twice as long
LEAST_S = 0.002  # the driver counts whole milliseconds, and 0 means no limit
FIRST_TRY = 0.6
"""In a ring, a read is sent again, likely to another node, after this share of its deadline."""
UNSET: Any = object()
"""Bound to a column, leaves the column unchanged. None would write a tombstone."""

AWAY_MESSAGE = "The store is away; try again"
LATE_MESSAGE = "The store did not answer in time"
AGAIN = (
    driver.CassErrorLibRequestTimedOut,
    driver.CassErrorLibWriteError,
    driver.CassErrorServerReadFailure,
)
"""Reads are repeated after these errors, which the driver does not do. A connection broke under the
request, or nodes disagreed on the columns while a table was altered. The driver's speculative
executions are no help. If no other host is left, the request never ends, even by its timeout."""
LATE = (
    *AGAIN,
    driver.CassErrorServerReadTimeout,
    driver.CassErrorServerServerError,
    driver.CassErrorServerWriteFailure,
    driver.CassErrorServerWriteTimeout,
)
"""The request was sent and may have been done, so the outcome of a write is unknown."""
AWAY = (
    driver.CassErrorLibHostResolution,
    driver.CassErrorLibNoHostsAvailable,
    driver.CassErrorLibNoStreams,
    driver.CassErrorLibRequestQueueFull,
    driver.CassErrorLibUnableToClose,
    driver.CassErrorLibUnableToConnect,
    driver.CassErrorLibUnableToDetermineProtocol,
    driver.CassErrorLibUnableToSetKeyspace,
    driver.CassErrorSourceServer,
    driver.CassErrorSourceSsl,
    driver.CassExceptionConnectionError,
)
"""The request was not done, unless the error is among LATE: no node could be reached, or the node
refused. A prepared statement is refused once its table is gone."""
UNCERTAIN = (driver.CassErrorServerOverloaded, driver.CassErrorServerUnavailable)
"""The outcome of a transaction is unknown after these errors, too. A coordinator also raises them
if nodes are missing for the commit, which comes after a majority has accepted the proposal."""
NOT_BEGUN = "before it could start"
"""Part of the text of a node that is overloaded and has not begun the request."""


class Statements:
    """Executes prepared statements by their names in CQL, on the session, if there is one.

    ``limit`` bounds the concurrent reads of requests.
    """

    def __init__(self, config: Config, limit: Limit | None) -> None:
        self._config = config
        self._session: acsylla.Session | None = None
        self._prepared: dict[str, acsylla.PreparedStatement] = {}
        self._is_ring = False
        self._closing = asyncio.Event()
        self.limit = limit or Limit(config.store_reads_max)
        self.health = Health()

    async def read(self, name: str, values: Sequence[Any] = ()) -> Any:
        """Execute a read for a request in its turn at ``limit``, and return the driver's result.

        Raise Unavailable, Late or Shed.
        """
        if self.health.is_down:
            raise Unavailable(AWAY_MESSAGE)
        asked = time.monotonic()
        await self.limit.enter(urgent.get())
        began, took_s = time.monotonic(), None
        left_s = min(self._config.store_deadline_s, asked + self._config.read_deadline_s - began)
        try:
            if self.health.is_down:  # since the read began to wait
                raise Unavailable(AWAY_MESSAGE)
            if left_s < LEAST_S:
                raise Shed(urgent.get())
            result = await self._run(name, values, left_s)
            if result.count() <= SAMPLE_ROWS:
                took_s = time.monotonic() - began
            return result
        except Late:
            took_s = left_s
            raise
        finally:
            self.limit.leave(took_s)

    async def execute(self, name: str, values: Sequence[Any] = (), *, serial: bool = False) -> Any:
        """Execute a statement, and return the driver's result.

        A value may be UNSET. ``serial``: a read behind all transactions under way. Raise
        Unavailable or Late.
        """
        if self.health.is_down:
            raise Unavailable(AWAY_MESSAGE)  # the driver's own error may take a deadline to come
        return await self._run(name, values, self._config.store_deadline_s, serial=serial)

    async def execute_all(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute a statement once for each of ``rows``, all at once.

        Go on even if some fail. Then raise the first failure.
        """
        work = (self.execute(name, values) for values in rows)
        for done in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(done, BaseException):
                raise done

    async def _run(
        self, name: str, values: Sequence[Any], left_s: float, *, serial: bool = False, **page: Any
    ) -> Any:
        """Execute within ``left_s`` seconds. Repeat a read after the errors of AGAIN."""
        session = self._session
        if session is None:
            raise Unavailable(AWAY_MESSAGE)
        sort, is_read = _sort(name, serial)
        statement = self._bind(name, values, is_read, **page)
        if serial:  # a read that finishes or discards the Paxos rounds before it
            statement.set_consistency(acsylla.Consistency.LOCAL_SERIAL)
        end, pause_s = time.monotonic() + left_s, AGAIN_S
        share = FIRST_TRY if is_read and self._is_ring else 1.0
        while True:
            # always, because a bound statement inherits the timeout of its preparation
            statement.set_timeout(left_s * share)
            try:
                with self.health.timings.timed(sort):
                    result = await session.execute(statement)
                break
            except Exception as error:
                left_s, share = end - time.monotonic() - pause_s, 1.0
                if not is_read or left_s < LEAST_S or not isinstance(error, AGAIN):
                    raise self._refused(name, sort, error) from error
            await asyncio.sleep(pause_s)
            pause_s *= 2
        self.health.worked(sort)
        return result

    def _bind(self, name: str, values: Sequence[Any], is_read: bool, **page: Any) -> Any:
        """Return the statement with its values."""
        statement: Any = self._prepared[name].bind(**page)
        for index, value in enumerate(values):
            if value is not UNSET:
                statement.bind(index, value)
        statement.set_is_idempotent(is_read)
        if name in TRANSACTIONS:  # the driver would send a refused one to the next node
            statement.set_retry_policy("fallthrough")
        return statement

    def _refused(self, name: str, sort: str, error: Exception) -> Exception:
        """Tell ``health`` how a statement of ``sort`` has failed, and return our error."""
        raised = translate(error)
        if not self._closing.is_set():
            self.health.refused(sort, error, late=isinstance(raised, Late))
        is_uncertain = isinstance(error, UNCERTAIN) and NOT_BEGUN not in str(error)
        return Late(LATE_MESSAGE) if is_uncertain and name in TRANSACTIONS else raised

    async def scan(self, name: str, values: Sequence[Any]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Yield the rows of an unbounded read by pages of at most PAGE rows."""
        place = None
        while True:
            result = await self._run(name, values, SCAN_TIMEOUT_S, page_size=PAGE, page_state=place)
            yield rows_in(result)
            if not result.has_more_pages():
                return
            place = result.page_state()


def rows_in(result: Any) -> list[tuple[Any, ...]]:
    """Return the rows in a result, which the driver itself gives one at a time."""
    return [row.as_tuple() for row in result.all()]


def translate(error: Exception) -> Exception:
    """Return our error for the driver's ``error``, whose text is for the log, not for callers.

    Errors without an outside cause are mistakes of ours, and are returned unchanged: a plain 500.
    """
    if isinstance(error, LATE):
        return Late(LATE_MESSAGE)
    if isinstance(error, AWAY) or type(error) is RuntimeError:  # a closed session raises this
        return Unavailable(AWAY_MESSAGE)
    return error


@functools.cache
def _sort(name: str, serial: bool) -> tuple[str, bool]:
    """Return the sort of a statement for ``Health``, and whether the statement is a read.

    A serial read is the first half of a write. If it fails, the write fails; if it works, the write
    may still fail. So it is a sort by itself.
    """
    cql = CQL[name]
    table, is_read = re.findall(r"(?:FROM|INTO|UPDATE) (\w+)", cql)[0], cql.startswith("SELECT")
    if serial:
        return f"reads before writes to {table}", True
    return (f"reads of {table}" if is_read else f"writes to {table}"), is_read
