"""The border to Cassandra: the session's life, prepared statements, and every driver error as ours.

Nothing else imports acsylla. A session is made in the background and never cancelled (cancelling
its creation deadlocks the process), so the service starts before Cassandra does and comes to life
when Cassandra does. Requests fail at once while it is known to be away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

import acsylla
from acsylla import errors as driver

from config import Config
from db import schema
from db.cassandra_errors import AWAY, LATE
from db.store import State
from errors import Late, ServiceError, Unavailable

logger = logging.getLogger("content")

CONNECT_TIMEOUT_S = 3.0
RETRY_S = 0.5
WATCH_S = 1.0
DDL_TIMEOUT_S = 20.0
AGAIN_S = 0.03
LEAST_S = 0.002  # the driver counts whole milliseconds, and takes 0 for ever
FIRST_TRY = 0.6
"""In a ring, the share of a read's deadline after which it is asked again, likely elsewhere."""
PAGE = 500
PROBE = "SELECT key FROM system.local"
UNSET: Any = object()
"""Bound to a column, leaves it alone; None would write a tombstone."""

_AGAIN = (
    driver.CassErrorLibRequestTimedOut,
    driver.CassErrorLibWriteError,
    driver.CassErrorServerReadFailure,
)
"""Reads are tried again after these, which the driver does not do: a connection broke under the
request, or nodes disagreed on the columns while a table was altered. (Its speculative executions
are no help: where no other host is left, the request never ends, not even by its timeout.)"""
MEANINGS: dict[type[BaseException], type[ServiceError]] = {
    **{getattr(driver, name): Unavailable for name in AWAY},
    **{getattr(driver, name): Late for name in LATE},
}
"""Driver errors that outside conditions cause. All others are mistakes of ours: a plain 500."""


def translate(error: Exception) -> Exception:
    """Our error for one of the driver's; the driver's own text goes to the log, not to callers."""
    if type(error) is RuntimeError:  # what a closed session raises
        return Unavailable("The store is closed")
    meaning = MEANINGS.get(type(error))
    if meaning is Unavailable:
        return Unavailable("The store is away; try again")
    if meaning is Late:
        return Late("The store did not answer in time")
    return error


class Cassandra:
    """One session: connects, watches, executes. ``statements`` are prepared at every connect."""

    def __init__(self, config: Config, statements: Sequence[str]) -> None:
        self._config = config
        self._statements = (PROBE, *statements)
        self._session: acsylla.Session | None = None
        self._prepared: dict[str, acsylla.PreparedStatement] = {}
        self._clusters: dict[str | None, acsylla.Cluster] = {}
        self._is_ring = False
        self._closing = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self._state: tuple[State, str] = ("starting", "connecting to Cassandra")

    async def open(self) -> None:
        """Returns at once; the session follows."""
        self._life = asyncio.create_task(self._live())

    async def close(self) -> None:
        """Ends the session; waits for a connect in progress, as that must not be cancelled."""
        self._closing.set()
        if self._life is not None:
            await self._life

    def state(self) -> tuple[State, str]:
        return self._state

    async def execute(
        self,
        cql: str,
        values: Sequence[Any] = (),
        *,
        read: bool = False,
        timeout_s: float | None = None,
        serial: bool = False,
    ) -> Any:
        """Executes a prepared statement; a value that is UNSET leaves its column alone."""
        prepared, session = self._prepared.get(cql), self._session
        if prepared is None or session is None:
            raise Unavailable(f"The store is not there yet: {self._state[1]}")
        statement: Any = prepared.bind()
        for index, value in enumerate(values):
            if value is not UNSET:
                statement.bind(index, value)
        if read:
            statement.set_is_idempotent(True)
        if serial:  # a read that finishes or discards the Paxos rounds before it
            statement.set_consistency(acsylla.Consistency.LOCAL_SERIAL)
        loop = asyncio.get_running_loop()
        left_s = self._config.store_deadline_s if timeout_s is None else timeout_s
        end = loop.time() + left_s
        share = FIRST_TRY if read and self._is_ring else 1.0
        while True:
            # always: a bound statement inherits the time that preparing it was given
            statement.set_timeout(left_s * share)
            try:
                return await session.execute(statement)
            except Exception as error:
                left_s = end - loop.time() - AGAIN_S
                if not read or left_s < LEAST_S or not isinstance(error, _AGAIN):
                    raise translate(error) from error
            share = 1.0
            await asyncio.sleep(AGAIN_S)

    async def scan(self, cql: str, values: Sequence[Any] = ()) -> AsyncIterator[Any]:
        """The rows of an unbounded read, fetched a page at a time."""
        if self._session is None:
            raise Unavailable(f"The store is not there yet: {self._state[1]}")
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

    async def _live(self) -> None:
        while not self._closing.is_set():
            try:
                await self._connect()
            except Exception as error:  # noqa: BLE001 - whatever it is, Cassandra is not there
                self._turn("starting", f"{type(error).__name__}: {error}")
                await self._pause(RETRY_S)
                continue
            await self._watch()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return

    def _turn(self, state: State, reason: str) -> None:
        if (state, reason) != self._state:
            logger.log(
                logging.INFO if state == "up" else logging.WARNING,
                "Cassandra is %s%s",
                state,
                reason and f": {reason}",
            )
        self._state = (state, reason)

    async def _connect(self) -> None:
        """Looks around from any node, sees to the schema, then settles in the local data centre."""
        scout = await self._cluster(None).create_session()
        try:
            local, nodes = await schema.ensure(scout, self._config)
        finally:
            await scout.close()
        session = await self._cluster(local).create_session(self._config.cassandra_keyspace)
        try:
            self._prepared = {
                cql: await session.create_prepared(cql, timeout=DDL_TIMEOUT_S)
                for cql in self._statements
            }
        except BaseException:
            await session.close()
            raise
        self._session, self._is_ring = session, nodes > 1

    def _cluster(self, datacenter: str | None) -> acsylla.Cluster:
        """One for each data centre: each has descriptors that it never gives back."""
        cluster = self._clusters.get(datacenter)
        if cluster is None:
            cluster = self._clusters[datacenter] = self._make_cluster(datacenter)
        return cluster

    def _make_cluster(self, datacenter: str | None) -> acsylla.Cluster:
        config = self._config
        return acsylla.create_cluster(
            list(config.cassandra_host),
            port=config.cassandra_port,
            username=config.cassandra_username,
            password=config.cassandra_password,
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=config.store_deadline_s if datacenter else DDL_TIMEOUT_S,
            consistency=acsylla.Consistency.LOCAL_QUORUM,
            serial_consistency=acsylla.Consistency.LOCAL_SERIAL,
            load_balance_round_robin=datacenter is None,
            load_balance_dc_aware=datacenter,
            core_connections_per_host=2,  # with one, a dropped connection fails every query for 2 s
            exponential_reconnect_base_delay_ms=100,
            exponential_reconnect_max_delay_ms=1000,
            heartbeat_interval_sec=1,  # a silent server is noticed by nothing else
            idle_timeout_sec=3,
            use_schema=datacenter is not None,
            application_name="content",
            log_level="critical",  # it calls a missing ScyllaDB feature an error, per connection
        )

    async def _watch(self) -> None:
        """Asks once a second whether the cluster answers, so that the state needs no traffic."""
        late = 0
        while not self._closing.is_set():
            try:
                await self.execute(PROBE, read=True)
                late = 0
                self._turn("up", "")
            except ServiceError as error:
                late = late + 1 if isinstance(error, Late) else 2
                if late > 1:  # one late answer is a busy moment, two are an outage
                    self._turn("down", error.message)
            await self._pause(WATCH_S)
