"""The life of a session with Cassandra: connect, watch the cluster, and renew.

A session is made in the background, so the service may start before Cassandra does. The creation of
a session is never cancelled, because that deadlocks the process.
"""

import asyncio
from collections import deque
from contextlib import suppress
from functools import cache
from pathlib import Path

import acsylla
from acsylla import errors as driver

from config import Config, ConfigError
from db.cassandra import schema
from db.cassandra.limit import Limit
from db.cassandra.statements import AWAY_MESSAGE, CQL, Statements, rows_in
from db.store import IDENTITY
from db.version import next_version
from errors import Unavailable

CONNECT_TIMEOUT_S = 3.0
DDL_TIMEOUT_S = 20.0
RETRY_S = 0.5
WATCH_S, WATCH_DOWN_S = 1.0, 0.1
ENDED_KEPT = 8
RENEW_S = 5.0
"""After so long an outage a new session is made, which looks up names anew. The driver only tries
the addresses that it knows, and a container comes back with another address."""
OPEN_S = 4.0
"""How long ``open`` waits for the first attempt, in order to raise its ConfigError."""
GONE = (
    driver.CassErrorServerInvalidQuery,
    driver.CassErrorLibUnableToSetKeyspace,
    driver.CassErrorLibNoHostsAvailable,  # no host could prepare it anew
)
"""A prepared statement became invalid although Cassandra answers, because the keyspace was
dropped."""


class Cassandra(Statements):
    """One session, replaced when it has to be. All statements are prepared at every connect."""

    def __init__(self, config: Config, limit: Limit | None = None) -> None:
        super().__init__(config, limit)
        self._ended: deque[acsylla.Session] = deque(maxlen=ENDED_KEPT)
        # one for each data centre, because each has descriptors that it never closes
        self._cluster = cache(lambda datacenter: make_cluster(config, datacenter))
        self._local = ""
        self._identity = ""
        self._tried = asyncio.Event()
        self._contradiction: ConfigError | None = None
        self._life: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Wait up to OPEN_S for the session, which may follow later.

        Raise ConfigError if Cassandra was found and the settings contradict its schema or data
        centres.
        """
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

    @property
    def identity(self) -> str:
        """Return the store's identity as it was last read. Raise Unavailable before that."""
        if not self._identity:
            raise Unavailable(AWAY_MESSAGE)
        return self._identity

    async def _live(self) -> None:
        """Connect, and probe the cluster until ``close``, so that its state needs no traffic.

        Connect again until the store's identity is known, and if for RENEW_S no node has answered,
        or our tables were not those prepared for. Cassandra may come while the service runs.
        """
        loop = asyncio.get_running_loop()
        good_s = loop.time()
        while not self._closing.is_set():
            pause_s = RETRY_S
            if not self._identity or loop.time() - good_s > RENEW_S:
                await self._renew()
                good_s = loop.time()
            if self._identity:
                if await self._probe():
                    good_s = loop.time()
                pause_s = WATCH_DOWN_S if self.health.is_down else WATCH_S
            self._tried.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
        session, self._session = self._session, None
        if session is not None:
            await self._end(session)

    async def _renew(self) -> None:
        """Connect. If this fails, keep the session there is."""
        self._contradiction = None
        try:
            await self._connect()
        except Exception as error:  # noqa: BLE001 - any error: Cassandra is not there
            if isinstance(error, ConfigError):
                self._contradiction = error
            cause = error.__cause__ or error
            reason = f"{type(cause).__name__}: {cause}"
            if not self._identity:
                self.health.turn("starting", reason)
            elif self.health.is_down:
                self.health.turn("down", reason)

    async def _probe(self) -> bool:
        """Return whether a node answers, and our tables are the same tables.

        Requests go on if the tables cannot be read, because other nodes may have the replicas of
        other rows.
        """
        deadline_s = self._config.store_deadline_s
        try:
            async with asyncio.timeout(2 * deadline_s):
                peers = rows_in(await self._run("probe", (), deadline_s))
        except Exception as error:  # noqa: BLE001 - nothing else would notice a recovery
            self.health.failed(error)
            return False
        self._is_ring = (self._local,) in peers
        self.health.answered()
        try:
            await self._identify()
        except Exception as error:  # noqa: BLE001 - any error: our tables cannot be read
            return not isinstance(error.__cause__, GONE)
        return True

    async def _end(self, session: acsylla.Session) -> None:
        """Close a session, and keep the object for a while, because its destructor may deadlock.

        It waits for the driver's thread with the interpreter lock held, for which the thread may
        wait.
        """
        self._ended.append(session)
        await session.close()

    async def _connect(self) -> None:
        """Find the local data centre and make the schema, by a session to any node.

        Then replace the current session by a new one, which stays in that data centre.
        """
        scout = await self._cluster(None).create_session()
        try:
            self._local = await schema.ensure(scout, self._config)
        finally:
            await self._end(scout)
        session = await self._cluster(self._local).create_session(self._config.cassandra_keyspace)
        try:
            self._prepared = {
                name: await session.create_prepared(cql, timeout=DDL_TIMEOUT_S)
                for name, cql in CQL.items()
            }
        except BaseException:
            await self._end(session)
            raise
        before, self._session = self._session, session
        if before is not None:
            await self._end(before)
        await self._identify()

    async def _identify(self) -> None:
        """Read the store's identity, or make one. A keyspace that was made anew has another."""
        left_s = self._config.store_deadline_s
        for _ in range(2):
            found = (await self._run("note", (IDENTITY,), left_s)).first()
            if found is not None:
                self._identity = found.column_value_by_index(0)
                return
            await self._run("identify", (IDENTITY, next_version()), left_s)


def make_cluster(config: Config, datacenter: str | None) -> acsylla.Cluster:
    """Return a cluster that stays in ``datacenter``; None: one for any node, to make the schema."""
    return acsylla.create_cluster(
        list(config.cassandra_host),
        port=config.cassandra_port,
        username=config.cassandra_username,
        password=config.cassandra_password,
        ssl_enabled=config.cassandra_ca is not None,
        ssl_trusted_cert=config.cassandra_ca and Path(config.cassandra_ca).read_text(),
        ssl_verify_flags=acsylla.SSLVerifyFlags.PEER_CERT,  # nodes are known by address only
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=config.store_deadline_s if datacenter else DDL_TIMEOUT_S,
        consistency=acsylla.Consistency.LOCAL_QUORUM,
        serial_consistency=acsylla.Consistency.LOCAL_SERIAL,
        load_balance_round_robin=datacenter is None,
        load_balance_dc_aware=datacenter,
        core_connections_per_host=2,  # with one, a dropped connection fails every query for 2 s
        exponential_reconnect_base_delay_ms=100,
        exponential_reconnect_max_delay_ms=500,
        heartbeat_interval_sec=1,  # nothing else notices a silent server
        idle_timeout_sec=3,
        use_schema=datacenter is not None,
        application_name="content",
        log_level="critical",  # each connection logs a missing ScyllaDB feature as an error
    )
