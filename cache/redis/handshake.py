"""The handshake on a new connection: the server's role, and the names of its keys.

The names contain the *reign*: the time in which one Redis master serves under one replication ID.
The run_id of its process alone would not do:

1. A master becomes a replica. Its old keys stay, or come back by replication.
2. Another master serves meanwhile. Writes delete keys under the names of that master's reign.
3. The first process becomes master again, with the same run_id and values older than those writes.

Every promotion makes a new replication ID. So does the first replica of a master, and the loss of
its last replica for ``repl-backlog-ttl``. The cache is empty then, without need.

``greet`` raises if the server is loading, is a replica or a cluster, or refuses us or a read. That
is an outage. A refused INFO or CLIENT TRACKING is only a warning.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hiredis import ReplyError

from cache.redis.connection import Connection, Lost, Reply

UNKNOWN_RUN = "any-run"
"""In place of the run_id of a server that refuses INFO."""
NOISE_S = 0.1
"""Smaller differences of clocks are ignored."""
FORMAT = 2
"""Version of packed entries. Replicas of two releases that pack differently share no keys."""

OUTAGES = {
    *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED"),
    *("NEWREIGN", "NOAUTH", "NOSCRIPT", "TRYAGAIN", "WRONGPASS"),
}
"""Codes of errors that mean "not now" or "not here", whatever the command. NOSCRIPT is the reply
after a SCRIPT FLUSH, because the next connection sends the scripts' texts again."""


@dataclass
class Session:
    """The result of a handshake on ``connection``; without one, Redis is down.

    Keys begin with ``prefix``, which holds ``run``, the name of the reign. The first write of the
    reign sets the key ``marker``. ``tracking`` means that invalidations arrive. ``clock_s`` is how
    far the server's clock is ahead of this machine's.
    """

    prefix: str = ""
    marker: str = ""
    run: str = ""
    replication_id: str = ""  # empty: unknown, so promotions go unnoticed
    clock_s: float = 0.0
    tracking: bool = False
    warnings: tuple[str, ...] = ()
    connection: Connection | None = None


def is_outage(error: ReplyError) -> bool:
    """Return whether an error reply means an outage, by the code that is its first word.

    Redis 6 puts READONLY, the answer of a replica to a script, behind other words.
    """
    text = str(error)
    return text.partition(" ")[0] in OUTAGES or "READONLY" in text


async def greet(connection: Connection, identity: str) -> Session:
    """Do the handshake on an authenticated connection, within the caller's time.

    Raise Lost or ReplyError.
    """
    hello, _named, server, replication, *configs = await asyncio.gather(
        _ask(connection, "HELLO", 3),
        _ask(connection, "CLIENT", "SETNAME", "content"),
        _ask(connection, "INFO", "server"),
        _ask(connection, "INFO", "replication"),
        _ask(connection, "CONFIG", "GET", "save"),
        _ask(connection, "CONFIG", "GET", "appendonly"),
        _ask(connection, "CONFIG", "GET", "min-replicas-to-write"),
    )
    if why := role_refused(hello):
        raise Lost(why)
    run, replication_id = run_of(server, replication)
    reigns = f"content:{FORMAT}:{identity}:reign:"
    prefix = f"content:{FORMAT}:{identity}:{run}:"
    session = Session(prefix, reigns + run, run, replication_id, connection=connection)
    await connection.ask("TIME", check=partial(note_clock, session, time.time()))
    values = f"{session.prefix}v:"
    # Redis sends invalidations at the end of a turn of its loop, so after any reply that a later
    # change in that turn made stale. NOLOOP would have no effect, because changes by scripts do
    # not count as the connection's own.
    prefixes = ("PREFIX", values, "PREFIX", reigns)
    tracking = await _ask(connection, "CLIENT", "TRACKING", "ON", "BCAST", *prefixes)
    session.tracking = not isinstance(tracking, Exception)
    session.warnings = tuple(_warnings(server, replication, configs, tracking))
    read = await _ask(connection, "MGET", values)  # is it loading? may we read?
    if isinstance(read, ReplyError):
        raise read
    return session


def role_refused(hello: Reply) -> str:
    """Return why HELLO shows no master outside any cluster; empty if it shows one.

    A replica refuses the scripts of misses and writes, and a former master lags behind its
    successor.
    """
    if isinstance(hello, ReplyError):
        return str(hello)
    about = hello if isinstance(hello, dict) else {}
    if about.get(b"role", b"master") != b"master":
        return "it is a replica"
    is_cluster = about.get(b"mode") == b"cluster"
    return "it is a Redis Cluster, which is not supported" if is_cluster else ""


def reign_ended(session: Session, replication: Reply) -> str:
    """Return why INFO shows another reign than that of the session's keys; empty if the same."""
    found = _field(replication, "master_replid")
    has_ended = isinstance(replication, bytes) and found != session.replication_id
    return "its replication id is another one now" if has_ended else ""


async def _ask(connection: Connection, *command: str | int) -> Reply:
    """Return the reply, which may be a ReplyError unless that means an outage."""
    reply = await connection.ask(*command)
    if isinstance(reply, Lost) or (isinstance(reply, ReplyError) and is_outage(reply)):
        raise reply
    return reply


def note_clock(session: Session, sent_s: float, reply: Reply) -> str:
    """Note how far the server's clock is ahead, by its reply to a TIME that was sent at ``sent_s``.

    All replicas tell ages by that clock. The error is at most half of the round trip. Return an
    empty text, because no reply has to end the connection.
    """
    now_s = time.time()
    if isinstance(reply, list):
        ahead_s = int(reply[0]) + int(reply[1]) / 1e6 - (sent_s + now_s) / 2
        if abs(ahead_s - session.clock_s) > NOISE_S + abs(now_s - sent_s):
            session.clock_s = ahead_s
    return ""


def _field(info: Reply, name: str) -> str:
    """Return a field of a reply to INFO; empty if there is none."""
    found = re.search(rb"\b%b:(\w+)" % name.encode(), info) if isinstance(info, bytes) else None
    return found[1].decode() if found else ""


def run_of(server: Reply, replication: Reply) -> tuple[str, str]:
    """Return the name of the reign, and the replication ID."""
    run, replication_id = _field(server, "run_id"), _field(replication, "master_replid")
    if not run:
        return UNKNOWN_RUN, ""
    return run[:12] + replication_id[:12], replication_id  # shortened, because every key has it


def _warnings(
    server: Reply, replication: Reply, configs: Sequence[Reply], tracking: Reply
) -> Iterator[str]:
    """Yield the limits of this server. Nothing is said of a setting that CONFIG GET refused."""
    if not _field(server, "run_id"):
        text = f"Redis refuses INFO ({server}): after its restart from a snapshot, old rows may be"
        yield f"{text} served until their TTL"
    settings = dict(pair for reply in configs if isinstance(reply, dict) for pair in reply.items())
    if settings.get(b"save") or settings.get(b"appendonly") == b"yes":
        yield "Redis persists to disk (CONFIG save, appendonly): what a restart loads is not used"
    has_replicas = _field(replication, "connected_slaves") not in ("", "0")
    if has_replicas and settings.get(b"min-replicas-to-write") == b"0":
        text = "Redis takes writes without its replicas (min-replicas-to-write 0): after a failover"
        yield f"{text}, old rows may be served until their TTL"
    if isinstance(tracking, Exception):
        text = f"Redis refuses CLIENT TRACKING ({tracking}): the near cache is off, and for half a"
        yield f"{text} second after a failover old rows may be served"
