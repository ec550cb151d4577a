"""The first words on a new connection: who we are, who answers, and how its keys are called.

Keys are named after one *reign*: one process, from its becoming master on. The process's run_id
alone would not do: a master that is made a replica and then master again has the same one, and
still has (or got back, by replication) what it held before, while the writes in between deleted
under the names of the other's reign. Its replication id is a new one at every promotion. (It also
is when a first replica comes, and when the last one was gone for ``repl-backlog-ttl``: the cache is
empty then, without need.)

A connection that passes can be read from; one whose server is loading, a replica, a cluster or
deaf to us raises, and is an outage. What merely allows little passes with a warning.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from hiredis import ReplyError

from cache.address import Address
from cache.connection import Connection, Reply

UNKNOWN_RUN = "any-run"
"""Stands for the run id of a server that does not tell it."""
NOISE_S = 0.1
"""Two clocks that seem to differ by less are taken for one: a round trip takes time, too."""
FORMAT = 2
"""Of packed entries: replicas of two releases that pack differently share nothing."""

OUTAGES = frozenset(
    {
        *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED"),
        *("NEWREIGN", "NOAUTH", "TRYAGAIN", "WRONGPASS"),
    }
)
"""Codes of answers that say: not now, or not here, whatever was asked."""


class Refused(Exception):
    """The server answers, but it cannot be used; the text says why."""


@dataclass
class Session:
    """What a connection has agreed on with the server it leads to."""

    prefix: str
    run: str
    tracking: bool
    replication_id: str = ""  # not known: a promotion in between cannot be told
    clock_s: float = 0.0  # how far the server's clock is ahead of this machine's
    reigns: str = ""  # the markers of all reigns begin with it
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def marker(self) -> str:
        """The key that the first write of this reign sets."""
        return self.reigns + self.run


def code_of(error: ReplyError) -> str:
    """The first word of an error reply."""
    return str(error).partition(" ")[0]


async def greet(connection: Connection, address: Address, identity: str) -> Session:
    """Raises Refused, and Lost when the connection ends. The caller bounds the time."""
    check_role(await _hello(connection, address))
    if address.db:
        await _required(connection, "SELECT", address.db)
    named, labelled, server, replication, save, appendonly, least = await asyncio.gather(
        _optional(connection, "CLIENT", "SETNAME", "content"),
        _optional(connection, "CLIENT", "SETINFO", "LIB-NAME", "content"),
        _optional(connection, "INFO", "server"),
        _optional(connection, "INFO", "replication"),
        _optional(connection, "CONFIG", "GET", "save"),
        _optional(connection, "CONFIG", "GET", "appendonly"),
        _optional(connection, "CONFIG", "GET", "min-replicas-to-write"),
    )
    del named, labelled  # for CLIENT LIST only; older servers do not know them
    session = Session("", UNKNOWN_RUN, tracking=False)
    _note_run(session, server, replication)
    _note_persistence(session, save, appendonly)
    _note_replicas(session, replication, least)
    session.prefix = f"content:{FORMAT}:{identity}:{session.run}:"
    session.reigns = f"content:{FORMAT}:{identity}:reign:"
    session.clock_s = await _clock_s(connection)
    await _track(connection, session)
    await _required(connection, "MGET", session.prefix + "v:")  # is it loading? may we read?
    return session


def check_role(hello: Reply) -> None:
    """Raises Refused unless HELLO was answered by a master outside any cluster: a replica refuses
    what every miss and every write needs, and one that was a master lags behind its successor."""
    about = hello if isinstance(hello, dict) else {}
    if about.get(b"role", b"master") != b"master":
        raise Refused("it is a replica")
    if about.get(b"mode") == b"cluster":
        raise Refused("it is a Redis Cluster, which is not supported")


async def _hello(connection: Connection, address: Address) -> Reply:
    try:
        return await connection.call("HELLO", 3, *address.credentials())
    except ReplyError as error:
        # an old server would repeat the arguments in its answer, the password too
        unknown = "unknown command" in str(error)
        raise Refused(
            "HELLO is unknown: Redis 6 or later is needed" if unknown else str(error)
        ) from None


async def _required(connection: Connection, *command: str | int) -> Reply:
    try:
        return await connection.call(*command)
    except ReplyError as error:
        raise Refused(str(error)) from None


async def _optional(connection: Connection, *command: str | int) -> Reply:
    """A ReplyError is returned; an outage still raises Refused."""
    try:
        return await connection.call(*command)
    except ReplyError as error:
        if code_of(error) in OUTAGES:
            raise Refused(str(error)) from None
        return error


async def _clock_s(connection: Connection) -> float:
    """Return how far the server's clock is ahead: replicas read ages by that one clock."""
    sent = time.time()
    reply = await _optional(connection, "TIME")
    if not isinstance(reply, list):
        return 0.0
    ahead_s = int(reply[0]) + int(reply[1]) / 1e6 - (sent + time.time()) / 2
    return ahead_s if abs(ahead_s) > NOISE_S else 0.0


def check_reign(session: Session, replication: Reply) -> None:
    """Raises Refused when INFO tells another replication id than the one in the keys' names."""
    if isinstance(replication, bytes) and _replication_id(replication) != session.replication_id:
        raise Refused("its replication id is another one now")


def _replication_id(replication: Reply) -> str:
    """Empty when INFO does not tell it."""
    text = replication if isinstance(replication, bytes) else b""
    found = re.search(rb"\bmaster_replid:(\w+)", text)
    return found[1].decode() if found else ""


def _note_run(session: Session, server: Reply, replication: Reply) -> None:
    run = re.search(rb"\brun_id:(\w+)", server) if isinstance(server, bytes) else None
    if run:
        session.run = run[1][:12].decode()  # in every key, so not all of it
        session.replication_id = _replication_id(replication)
        session.run += session.replication_id[:12]
        return
    session.warnings.append(
        f"Redis refuses INFO ({server}): a restart from a snapshot cannot be told from an outage,"
        " so old rows may be served until their TTL"
    )


def _note_persistence(session: Session, save: Reply, appendonly: Reply) -> None:
    if not (isinstance(save, dict) and isinstance(appendonly, dict)):
        session.notes.append("Redis refuses CONFIG GET: not checked whether it persists to disk")
        return
    kept = {**save, **appendonly}
    if kept.get(b"save") or kept.get(b"appendonly") == b"yes":
        session.warnings.append(
            "Redis persists to disk (CONFIG save, appendonly): nothing here needs that, and what a"
            " restart loads is not used"
        )


def _note_replicas(session: Session, replication: Reply, least: Reply) -> None:
    if not (isinstance(replication, bytes) and isinstance(least, dict)):
        return
    if re.search(rb"connected_slaves:[1-9]", replication) and b"0" in least.values():
        session.warnings.append(
            "Redis takes writes when it has lost its replicas (min-replicas-to-write 0): after a"
            " failover, rows that were written at the old master may be old until their TTL"
        )


async def _track(connection: Connection, session: Session) -> None:
    """Redis sends the pushes of a turn of its loop at the turn's end, hence after every reply that
    a later change made stale. NOLOOP would change nothing: what scripts do is nobody's own."""
    prefixes = ("PREFIX", session.prefix + "v:", "PREFIX", session.reigns)
    reply = await _optional(connection, "CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
    session.tracking = not isinstance(reply, Exception)
    if not session.tracking:
        session.warnings.append(
            f"Redis refuses CLIENT TRACKING ({reply}): the near cache is off, and for half a second"
            " after its replication ID has changed old rows may be read"
        )
