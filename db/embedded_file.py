"""The SQLite file of the embedded store: how it is opened, its tables, its threads, its failures.

A *lane* is one thread and the one connection that is used in it. SQLite lets one transaction write
at a time, so one lane writes and whoever waits, waits in its queue instead of in the event loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import orjson

from config import ConfigError
from db.health import Health
from db.store import IDENTITY
from errors import Unavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_S = 5.0
"""How long a write waits for another process's write before it is refused."""

DAMAGE = "writes to a damaged file"
_DAMAGED = sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB

SCHEMA_VERSION = 2
_APPLICATION_ID = 0x434E5431  # "CNT1": tells our files from any other program's

# ``video`` keeps its rowid: rows are some 700 bytes, and a tree clustered by id would hold six to a
# page, be twice as deep, and make a page of ids read every row. The index that the key makes
# answers ``ids`` and ``random_id`` alone. ``dropped`` and ``deleted`` are what Cassandra's
# tombstones are: a late, older write of the same thing does not come back to life.
_SCHEMA = (
    """CREATE TABLE video (
         id TEXT PRIMARY KEY, created TEXT NOT NULL, request_hash TEXT, body BLOB NOT NULL)""",
    "CREATE TABLE deleted (id TEXT PRIMARY KEY) WITHOUT ROWID",
    """CREATE TABLE entry (
         genre TEXT, position BLOB, id TEXT, version TEXT NOT NULL, version_us INTEGER NOT NULL,
         PRIMARY KEY (genre, position, id)) WITHOUT ROWID""",
    """CREATE TABLE dropped (
         genre TEXT, position BLOB, id TEXT, version_us INTEGER NOT NULL,
         PRIMARY KEY (genre, position, id)) WITHOUT ROWID""",
    "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def connect(path: str, *, writes: bool = False) -> sqlite3.Connection:
    """A connection without implicit transactions; it may move between threads, not be shared."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    if not writes:
        connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(path: str) -> sqlite3.Connection:
    """The writing connection, its tables made when absent. Raises ConfigError."""
    connection = None
    try:
        connection = connect(path, writes=True)
        connection.execute("BEGIN")
        _is_new(connection)  # before anything is changed in a file that is not ours
        connection.execute("ROLLBACK")
        use_wal(connection)
        # FULL: an acknowledged write outlives a power cut; the cache may hold it by then
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        transact(connection, _create_tables)
    except sqlite3.Error as error:
        if connection:
            connection.close()
        raise ConfigError(f"EMBEDDED_PATH cannot be used: {error}") from None
    except ConfigError:
        if connection:
            connection.close()
        raise
    return connection


def _is_new(connection: sqlite3.Connection) -> bool:
    """Asks in a transaction: between two questions another process may make the tables."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == _APPLICATION_ID:
        if version > SCHEMA_VERSION:
            raise ConfigError("EMBEDDED_PATH was written by a newer release of this service")
        if version < SCHEMA_VERSION:
            raise ConfigError(
                "EMBEDDED_PATH was written by an older release of this service, and is not"
                " converted: delete the file and import the catalogue again"
            )
        return False
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise ConfigError("EMBEDDED_PATH is the database of another program")
    return True


def use_wal(connection: sqlite3.Connection) -> None:
    """Readers and the writer do not wait for each other in WAL mode.

    Two processes that switch a new file at once can be told "locked" at once: SQLite sees that
    waiting would be a deadlock, and so does not wait. The file stays in that mode.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            raise ConfigError("EMBEDDED_PATH is in a file system that cannot share memory")
        return


def _create_tables(connection: sqlite3.Connection) -> None:
    if _is_new(connection):  # asked again: another process may have been faster
        for statement in _SCHEMA:
            connection.execute(statement)
        set_about(connection, IDENTITY, str(uuid.uuid4()))


def about(connection: sqlite3.Connection, name: str) -> str | None:
    """Return the note ``name`` about the store, or None."""
    found = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
    return found and str(found[0])


def set_about(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))


def unavailable(error: sqlite3.Error) -> Exception:
    """What a caller gets for an error of SQLite: a full disk or a lock is an outage, and so is a
    damaged file; a wrong statement is a mistake of ours and stays what it is."""
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
        return error
    return Unavailable()


def judged(health: Health, sort: str, call: Callable[[], T]) -> T:
    """Do ``call``, and tell ``health`` how this request of ``sort`` ended. A damaged file stays
    failing: a page that can be read says nothing of the next one."""
    try:
        done = call()
    except orjson.JSONDecodeError as error:  # SQLite has no checksums
        health.refused(DAMAGE, error)
        raise Unavailable from error
    except sqlite3.Error as error:
        ours = unavailable(error)
        if isinstance(ours, Unavailable):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            health.refused(DAMAGE if code in _DAMAGED else sort, error)
        raise ours from error
    health.worked(sort)
    return done


def transact(connection: sqlite3.Connection, work: Work[T], busy_s: float = BUSY_S) -> T:
    """Runs ``work`` in one transaction, whole or not at all."""
    # forget cached pages: a transaction then finds damage in any page of the file that it touches
    connection.execute("PRAGMA shrink_memory")
    connection.execute(f"PRAGMA busy_timeout = {max(0, int(busy_s * 1_000))}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        done = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
    return done


class Lane:
    """One thread and the one connection that is used in it."""

    def __init__(self, name: str, health: Health):
        self._health = health
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None
        self._is_open = False
        self._is_closed = False

    async def open(self, connect: Callable[[], sqlite3.Connection]) -> None:
        def keep() -> None:  # in the thread: a caller that is cancelled meanwhile loses nothing
            self._connection = connect()

        await self._in_thread(keep)
        self._is_open = True

    async def read(self, work: Work[T]) -> T:
        return await self._run(lambda c: judged(self._health, "long reads", lambda: work(c)))

    async def write(self, work: Work[T]) -> T:
        """Waiting in the queue counts: under a lock that stays, each caller waits once only.
        A caller that is cancelled while ``work`` runs changes nothing about the transaction."""
        until = time.monotonic() + BUSY_S

        def write(connection: sqlite3.Connection) -> T:
            if self._health.is_failing(DAMAGE):
                raise Unavailable()
            return transact(connection, work, until - time.monotonic())

        return await self._run(lambda c: judged(self._health, "writes", lambda: write(c)))

    async def _run(self, work: Work[T]) -> T:
        connection = self._connection
        if connection is None or not self._is_open:
            raise Unavailable("The store is not open")
        return await self._in_thread(lambda: work(connection))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def close(self) -> None:
        """Behind everything that waits in the queue. The last one to close a file tidies it up:
        SQLite then moves what the log holds into it and deletes the log."""
        self._is_open = False
        if not self._is_closed:
            self._is_closed = True
            await self._in_thread(self._disconnect)
            self._executor.shutdown(wait=False)

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
