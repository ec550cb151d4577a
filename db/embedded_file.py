"""The SQLite file of the embedded store: open it, make its tables, run work in threads.

SQLite lets one transaction write at a time, so one thread (``Lane``) does all writes of a process.
Writes wait in its queue and not in the event loop.
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
"""How long a write waits for another process's write before it raises Unavailable."""

DAMAGE = "writes to a damaged file"
_DAMAGED = sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB

SCHEMA_VERSION = 2
_APPLICATION_ID = 0x434E5431  # "CNT1": tells our files from any other program's

# ``video`` keeps its rowid. Rows have some 700 bytes, so a tree clustered by id would hold six to a
# page, be twice as deep, and read every row for a page of ids. The index of the key alone answers
# ``ids`` and ``random_id``. ``dropped`` and ``deleted`` stand for Cassandra's tombstones: they keep
# a late, older write from bringing a line or a row back.
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
    """Return a connection without implicit transactions, for one thread at a time."""
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    if not writes:
        connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(path: str) -> sqlite3.Connection:
    """Return the writing connection. Make the tables if they are absent. Raise ConfigError if the
    file cannot be used."""
    connection = None
    try:
        connection = connect(path, writes=True)
        connection.execute("BEGIN")
        _is_new(connection)  # before any change, because the file may not be ours
        connection.execute("ROLLBACK")
        use_wal(connection)
        # FULL: an acknowledged write must survive a power cut, because a cache may hold its row
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
    """Return whether the file has no tables. Raise ConfigError if another program or release made
    it. Call this in a transaction, because another process may be making the tables."""
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
    """Switch the file to WAL mode, in which readers and the writer do not wait for each other.

    If two processes switch a new file together, SQLite may answer "locked" without a wait, because
    waiting would be a deadlock. Then try again, for up to BUSY_S. The file stays in WAL mode.
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
    """Return the error that a caller gets for SQLite's. A full disk, a lock and a damaged file are
    outages. A wrong statement is a mistake of ours, and its error is returned unchanged."""
    if isinstance(error, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
        return error
    return Unavailable()


def judged(health: Health, sort: str, call: Callable[[], T]) -> T:
    """Run ``call``, and tell ``health`` how this request of ``sort`` ended. DAMAGE is a sort that
    never works again, because a page that can be read says nothing about the next page."""
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
    """Run ``work`` in one transaction, whole or not at all. Wait ``busy_s`` for a lock at most."""
    # forget cached pages, so that the transaction finds damage in every page that it touches
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
        def keep() -> None:  # in the thread, so a cancelled caller does not lose the connection
            self._connection = connect()

        await self._in_thread(keep)
        self._is_open = True

    async def read(self, work: Work[T]) -> T:
        return await self._run(lambda c: judged(self._health, "long reads", lambda: work(c)))

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction. BUSY_S includes the time in the queue, so under a lasting
        lock all callers wait BUSY_S and not one after the other. If the caller is cancelled while
        ``work`` runs, the transaction goes on."""
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
        """Close the connection, behind all work in the queue. When the last connection to a file
        closes, SQLite moves the contents of the log into the file and deletes the log."""
        self._is_open = False
        if not self._is_closed:
            self._is_closed = True
            await self._in_thread(self._disconnect)
            self._executor.shutdown(wait=False)

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
