"""The SQLite file of the embedded store: open it, make its tables, run work in threads.

SQLite lets one transaction write at a time, so one thread does all writes of a process. Writes wait
in the queue of this thread and not in the event loop.
"""

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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

SCHEMA_VERSION = 4
_APPLICATION_ID = 0x434E5431  # "CNT1": tells our files from any other program's
_TABLES = Path(__file__).with_name("embedded.sql")


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables if there are none. Raise ConfigError if another program or release did."""
    # tables first: their transaction made the numbers too, so the numbers are not older
    is_new = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if not is_new and application != _APPLICATION_ID:
        raise ConfigError("EMBEDDED_PATH is the database of another program")
    if not is_new and version != SCHEMA_VERSION:
        raise ConfigError(
            "EMBEDDED_PATH was written by another release of this service, and is not converted:"
            " run that release, or delete the file and import the catalogue again"
        )
    use_wal(connection)
    # FULL: an acknowledged write must survive a power cut, because a cache may hold its row
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if is_new:
        connection.executescript(f"""BEGIN IMMEDIATE; {_TABLES.read_text()}
            INSERT OR IGNORE INTO about VALUES ('{IDENTITY}', '{uuid.uuid4()}');
            PRAGMA application_id = {_APPLICATION_ID};
            PRAGMA user_version = {SCHEMA_VERSION};
            COMMIT""")


def use_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL mode, in which readers and the writer do not wait for each other.

    If two processes switch a new file together, SQLite may answer "locked" without a wait, because
    waiting would be a deadlock. Then try again, for up to BUSY_S. The file stays in WAL mode.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise ConfigError("EMBEDDED_PATH is in a file system that cannot share memory")


class FileConnection:
    """A connection to the file, and the thread ``name`` for all its work that may take long."""

    def __init__(self, name: str, health: Health):
        self._health = health
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def open(self, path: str, *, writes: bool = False) -> None:
        """Connect to ``path``.

        With ``writes``, make the tables if they are absent. Raise ConfigError if the file cannot be
        used.
        """
        try:
            # no implicit transactions; the thread and the event loop never use it at one time
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection = connection
            connection.execute(f"PRAGMA query_only = {not writes}")
            if writes:
                await self._in_thread(lambda: _prepare(connection))
        except sqlite3.Error as error:
            raise ConfigError(f"EMBEDDED_PATH cannot be used: {error}") from None

    def read_now(self, work: Work[T]) -> T:
        """Run a short read in the event loop.

        Use no other method of this connection, and fetch all rows in ``work``, so that no snapshot
        stays open.
        """
        with self._health.timings.timed("reads"):
            return self._judged("reads", work)()

    async def read(self, work: Work[T]) -> T:
        with self._health.timings.timed("long reads"):
            return await self._in_thread(self._judged("long reads", work))

    async def write(self, work: Work[T]) -> T:
        """Run ``work`` in a transaction, whole or not at all.

        BUSY_S includes the time in the queue, so under a lasting lock all callers wait BUSY_S and
        not one after the other. If the caller is cancelled while ``work`` runs, the transaction
        goes on.
        """
        until = time.monotonic() + BUSY_S

        def write(connection: sqlite3.Connection) -> T:
            if self._health.is_failing(DAMAGE):
                raise Unavailable()
            # forget cached pages, so that the transaction finds damage in every page it touches
            connection.execute("PRAGMA shrink_memory")
            left_ms = max(0, int(1_000 * (until - time.monotonic())))
            connection.execute(f"PRAGMA busy_timeout = {left_ms}")
            connection.execute("BEGIN IMMEDIATE")
            with connection:  # commits, and rolls back after an error
                return work(connection)

        with self._health.timings.timed("writes"):
            return await self._in_thread(self._judged("writes", write))

    def _judged(self, sort: str, work: Work[T]) -> Callable[[], T]:
        """Return ``work`` as a call that tells the health how this request of ``sort`` ended.

        A full disk, a lock and a damaged file raise Unavailable. A wrong statement is a mistake of
        ours, and its error is raised unchanged. DAMAGE is a sort that never works again, because a
        page that can be read says nothing about the next page.
        """
        connection = self._connection
        if connection is None:
            raise Unavailable("The store is not open")

        def call() -> T:
            try:
                done = work(connection)
            except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
                raise
            except (sqlite3.Error, orjson.JSONDecodeError) as error:
                # SQLite has no checksums. The error of a value that cannot be decoded has no code.
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
                self._health.refused(DAMAGE if code in _DAMAGED else sort, error)
                self._health.tell()
                raise Unavailable from error
            self._health.worked(sort)
            return done

        return call

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def close(self) -> None:
        """Close the connection, behind all work in the queue.

        When the last connection to a file closes, SQLite moves the contents of the log into the
        file and deletes the log.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._in_thread(connection.close)
        self._executor.shutdown(wait=False)
