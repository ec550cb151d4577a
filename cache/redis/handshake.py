"""The handshake on a new connection: the server's role, and the names of its keys.

The names contain the *reign*: the time in which one Redis master serves under one replication ID.
The run_id of its process alone would not do:

1. A master becomes a replica. Its old keys stay, or come back by replication.
2. Another master serves meanwhile. Writes delete keys under the names of that master's reign.
3. The first process becomes master again, with the same run_id and values older than those writes.

Every promotion makes a new replication ID. So does the first replica of a master, and the loss of
its last replica for ``repl-backlog-ttl``. The cache is empty then, without need.

``greet`` raises if the server is loading, is a replica or a cluster, or refuses us or a read. That
is an outage. A refused INFO, CONFIG or CLIENT TRACKING is only a warning or a note.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field

from hiredis import ReplyError

from cache.redis.connection import Connection, Reply

UNKNOWN_RUN = "any-run"
"""In place of the run_id of a server that refuses INFO."""
NOISE_S = 0.1
"""Clocks that differ by less count as equal, because the measurement takes a round trip."""
FORMAT = 2
"""Version of packed entries. Replicas of two releases that pack differently share no keys."""

OUTAGES = frozenset(
    {
        *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED"),
        *("NEWREIGN", "NOAUTH", "TRYAGAIN", "WRONGPASS"),
    }
)
"""Codes of errors that mean "not now" or "not here", whatever the command."""


class Refused(Exception):
    """The server answers, but cannot be used. The text is the reason."""


@dataclass
class Session:
    """The result of a handshake. Keys begin with ``prefix``, which holds ``run``, the name of the
    reign. ``tracking`` means that invalidations arrive."""

    prefix: str
    run: str
    tracking: bool
    replication_id: str = ""  # empty: unknown, so promotions go unnoticed
    clock_s: float = 0.0  # how far the server's clock is ahead of this machine's
    reigns: str = ""  # the beginning of the markers of all reigns
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def marker(self) -> str:
        """Return the key that the first write of this reign sets."""
        return self.reigns + self.run


def code_of(error: ReplyError) -> str:
    """Return the first word of an error reply."""
    return str(error).partition(" ")[0]


async def greet(connection: Connection, identity: str) -> Session:
    """Do the handshake on an authenticated connection, within the caller's time. Raise Refused, or
    Lost if the connection ends."""
    hello, _named, server, replication, save, appendonly, least = await asyncio.gather(
        _required(connection, "HELLO", 3),
        _optional(connection, "CLIENT", "SETNAME", "content"),
        _optional(connection, "INFO", "server"),
        _optional(connection, "INFO", "replication"),
        _optional(connection, "CONFIG", "GET", "save"),
        _optional(connection, "CONFIG", "GET", "appendonly"),
        _optional(connection, "CONFIG", "GET", "min-replicas-to-write"),
    )
    check_role(hello)
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
    """Raise Refused unless a master outside any cluster has answered HELLO. A replica refuses the
    scripts of misses and writes, and a former master lags behind its successor."""
    about = hello if isinstance(hello, dict) else {}
    if about.get(b"role", b"master") != b"master":
        raise Refused("it is a replica")
    if about.get(b"mode") == b"cluster":
        raise Refused("it is a Redis Cluster, which is not supported")


async def _required(connection: Connection, *command: str | int) -> Reply:
    try:
        return await connection.call(*command)
    except ReplyError as error:
        raise Refused(str(error)) from None


async def _optional(connection: Connection, *command: str | int) -> Reply:
    """Return the reply, which may be a ReplyError. Raise Refused for the codes in OUTAGES."""
    try:
        return await connection.call(*command)
    except ReplyError as error:
        if code_of(error) in OUTAGES:
            raise Refused(str(error)) from None
        return error


async def _clock_s(connection: Connection) -> float:
    """Return how far the server's clock is ahead. All replicas tell ages by that clock."""
    sent = time.time()
    reply = await _optional(connection, "TIME")
    if not isinstance(reply, list):
        return 0.0
    ahead_s = int(reply[0]) + int(reply[1]) / 1e6 - (sent + time.time()) / 2
    return ahead_s if abs(ahead_s) > NOISE_S else 0.0


def check_reign(session: Session, replication: Reply) -> None:
    """Raise Refused if INFO has another replication ID than the names of the session's keys."""
    if isinstance(replication, bytes) and _replication_id(replication) != session.replication_id:
        raise Refused("its replication id is another one now")


def _replication_id(replication: Reply) -> str:
    """Return the replication ID in a reply to INFO; empty if there is none."""
    text = replication if isinstance(replication, bytes) else b""
    found = re.search(rb"\bmaster_replid:(\w+)", text)
    return found[1].decode() if found else ""


def _note_run(session: Session, server: Reply, replication: Reply) -> None:
    run = re.search(rb"\brun_id:(\w+)", server) if isinstance(server, bytes) else None
    if run:
        session.run = run[1][:12].decode()  # shortened, because every key has it
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
    """Turn on invalidations. Redis sends them at the end of a turn of its loop, so after any reply
    that a later change in that turn made stale. NOLOOP would have no effect, because changes by
    scripts do not count as the connection's own."""
    prefixes = ("PREFIX", session.prefix + "v:", "PREFIX", session.reigns)
    reply = await _optional(connection, "CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
    session.tracking = not isinstance(reply, Exception)
    if not session.tracking:
        session.warnings.append(
            f"Redis refuses CLIENT TRACKING ({reply}): the near cache is off, and for half a second"
            " after its replication ID has changed old rows may be read"
        )
