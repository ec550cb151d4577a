"""The life of a session with Cassandra: connect, watch the cluster, and renew.

Callers do not see the driver. A session is made in the background, so the service may start before
Cassandra does. The creation of a session is never cancelled, because that deadlocks the process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import acsylla

from config import Config, ConfigError
from db.cassandra import schema
from db.cassandra.cluster import DDL_TIMEOUT_S, keyspace_name, make_cluster
from db.cassandra.errors import AGAIN, AWAY_MESSAGE, GONE, translate
from db.health import Health
from db.store import IDENTITY, State
from db.version import next_version
from errors import Late, Unavailable

RETRY_S = 0.5
WATCH_S, WATCH_DOWN_S = 1.0, 0.1
ENDED_KEPT = 8
RENEW_S = 5.0
"""After so long an outage a new session is made, which looks up names anew. The driver only tries
the addresses that it knows, and a container comes back with another address."""
AGAIN_S = 0.03
LEAST_S = 0.002  # the driver counts whole milliseconds, and 0 means no limit
FIRST_TRY = 0.6
"""In a ring, a read is sent again, likely to another node, after this share of its deadline."""
LOOK = "reads of about"
PROBE = "SELECT data_center FROM system.peers"
"""Any node answers this query from memory, and it shows whether there are other nodes."""
NOTE = "SELECT value FROM about WHERE name = ?"
IDENTIFY = "INSERT INTO about (name, value) VALUES (?, ?) IF NOT EXISTS"
CONTRADICTION_S = 5.0
"""The pause after a ConfigError. An operator can mend Cassandra without restarting the service."""
OPEN_S = 4.0
"""How long ``open`` waits for the first attempt, in order to raise its ConfigError."""
UNSET: Any = object()
"""Bound to a column, leaves the column unchanged. None would write a tombstone."""


class Session:
    """One session, replaced when it has to be. ``statements`` are prepared at every connect."""

    def __init__(self, config: Config, statements: Sequence[str]) -> None:
        self._config = config
        self._statements = (PROBE, NOTE, IDENTIFY, *statements)
        self._session: acsylla.Session | None = None
        self._ended: deque[acsylla.Session] = deque(maxlen=ENDED_KEPT)
        self._prepared: dict[str, acsylla.PreparedStatement] = {}
        self._clusters: dict[str | None, acsylla.Cluster] = {}
        self._is_ring = False
        self._local = ""
        self._identity = ""
        self._renewed_s = float("-inf")
        self._tried = asyncio.Event()
        self._contradiction: ConfigError | None = None
        self._closing = asyncio.Event()
        self._life: asyncio.Task[None] | None = None
        self.health = Health()

    async def open(self) -> None:
        """Wait up to OPEN_S for the session, which may follow later. Raise ConfigError if Cassandra
        was found and the settings contradict its schema or data centres."""
        self._life = asyncio.create_task(self._live())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._tried.wait(), OPEN_S)
        if self._contradiction is not None:
            await self.close()
            raise self._contradiction

    async def close(self) -> None:
        """End the session. Wait for a connect in progress, because it must not be cancelled."""
        self._closing.set()
        if self._life is not None:
            await self._life

    async def visit(self) -> acsylla.Session:
        """Return another session, without a keyspace, for administration. The caller closes it."""
        return await self._cluster(None).create_session()

    def state(self) -> tuple[State, str]:
        return self.health.state

    @property
    def identity(self) -> str:
        """Return the store's identity as it was last read. Raise Unavailable before that."""
        if not self._identity:
            raise Unavailable(AWAY_MESSAGE)
        return self._identity

    def _bind(self, cql: str, values: Sequence[Any] = ()) -> Any:
        prepared = self._prepared.get(cql)
        if prepared is None or self._session is None:
            raise Unavailable(AWAY_MESSAGE)
        statement: Any = prepared.bind()
        for index, value in enumerate(values):
            if value is not UNSET:
                statement.bind(index, value)
        return statement

    async def _run(self, statement: Any, left_s: float, sort: str = "", *, read: bool) -> Any:
        """Execute within ``left_s`` seconds. Repeat a read after the errors of AGAIN. ``health`` is
        told how a statement of ``sort`` ended."""
        session = self._session
        if session is None:
            raise Unavailable("The store is closed")
        if read:
            statement.set_is_idempotent(True)
        loop = asyncio.get_running_loop()
        end = loop.time() + left_s
        share = FIRST_TRY if read and self._is_ring else 1.0
        while True:
            # always, because a bound statement inherits the timeout of its preparation
            statement.set_timeout(left_s * share)
            try:
                result = await session.execute(statement)
            except Exception as error:
                left_s = end - loop.time() - AGAIN_S
                if not read or left_s < LEAST_S or not isinstance(error, AGAIN):
                    raised = translate(error)
                    if sort and not self._closing.is_set():
                        self.health.refused(sort, error, late=isinstance(raised, Late))
                    raise raised from error
            else:
                if sort:
                    self.health.worked(sort)
                return result
            share = 1.0
            await asyncio.sleep(AGAIN_S)

    async def _live(self) -> None:
        """Connect and watch until ``close``. After a failure pause, and connect again."""
        while not self._closing.is_set():
            try:
                await self._connect()
            except ConfigError as error:
                self._contradiction = error
                self.health.turn("starting", str(error))
                self._tried.set()
                await self._pause(CONTRADICTION_S)
                continue
            except Exception as error:  # noqa: BLE001 - any error: Cassandra is not there
                self.health.turn("starting", f"{type(error).__name__}: {error}")
                self._tried.set()
                await self._pause(RETRY_S)
                continue
            await self._watch()
        session, self._session = self._session, None
        if session is not None:
            await self._end(session)

    async def _end(self, session: acsylla.Session) -> None:
        """Close a session, and keep the object for a while, because its destructor may deadlock. It
        waits for the driver's thread with the interpreter lock held, for which the thread may wait.
        """
        self._ended.append(session)
        await session.close()

    async def _renew(self) -> None:
        try:
            await self._connect()
        except Exception as error:  # noqa: BLE001 - Cassandra is still not there
            if self.health.is_down:
                self.health.turn("down", f"{type(error).__name__}: {error}")

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), seconds)
        except TimeoutError:
            return

    async def _connect(self) -> None:
        """Find the local data centre and make the schema, by a session to any node. Then replace
        the current session by a new one, which stays in that data centre."""
        scout = await self._cluster(None).create_session()
        try:
            self._local = await schema.ensure(scout, self._config)
            keyspace = await keyspace_name(scout, self._config)
        finally:
            await self._end(scout)
        cluster = self._cluster(self._local)
        session = await cluster.create_session(keyspace)
        try:
            self._prepared = {
                cql: await session.create_prepared(cql, timeout=DDL_TIMEOUT_S)
                for cql in self._statements
            }
        except BaseException:
            await self._end(session)
            raise
        before, self._session = self._session, session
        if before is not None:
            await self._end(before)
        await self._identify()

    def _cluster(self, datacenter: str | None) -> acsylla.Cluster:
        """Return the one cluster of a data centre. Each has descriptors that it never closes."""
        cluster = self._clusters.get(datacenter)
        if cluster is None:
            cluster = self._clusters[datacenter] = make_cluster(self._config, datacenter)
        return cluster

    async def _watch(self) -> None:
        """Probe the cluster until ``close``, so that the state is known without traffic."""
        loop = asyncio.get_running_loop()
        seen = loop.time()
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(2 * self._config.store_deadline_s):
                    await self._look_around()
                self.health.answered()
                seen = loop.time()
            except Exception as error:  # noqa: BLE001 - nothing else would notice a recovery
                self.health.failed(error)
                if loop.time() - seen > RENEW_S:
                    await self._renew()
                    seen = loop.time()
            else:
                await self._look_at_store()
            self._tried.set()
            await self._pause(WATCH_DOWN_S if self.health.is_down else WATCH_S)

    async def _look_around(self) -> None:
        """Probe the cluster, and note whether it is a ring by now."""
        left_s = self._config.store_deadline_s
        peers = (await self._run(self._bind(PROBE), left_s, read=True)).all()
        self._is_ring = any(peer.column_value_by_index(0) == self._local for peer in peers)

    async def _look_at_store(self) -> None:
        """Check, once the probe was answered, that our tables can be read and are the same tables.
        Requests go on if not, because other nodes may have the replicas of other rows."""
        try:
            await self._identify()
            self.health.worked(LOOK)
        except Exception as error:  # noqa: BLE001 - any error: our tables cannot be read
            self.health.refused(LOOK, error, late=isinstance(error, Late | TimeoutError))
            now = asyncio.get_running_loop().time()
            if isinstance(error.__cause__ or error, GONE) and now - self._renewed_s > RENEW_S:
                self._renewed_s = now
                await self._renew()

    async def _identify(self) -> None:
        """Read the store's identity, or make one. A keyspace that was made anew has another."""
        left_s = self._config.store_deadline_s
        for _ in range(2):
            found = await self._run(self._bind(NOTE, (IDENTITY,)), left_s, read=True)
            if (row := found.first()) is not None:
                self._identity = row.column_value_by_index(0)
                return
            made = self._bind(IDENTIFY, (IDENTITY, next_version()))
            await self._run(made, left_s, read=False)
