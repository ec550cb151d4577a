"""The interface of a store of rows, the choice of a store by the settings, and its metrics.

``db/cassandra/store.py`` and ``db/embedded.py`` implement the interface. One contract suite tests
both: callers see the same, including the order of every genre's list. Methods raise NotFound if
there is no row, Unavailable if the store is away (at once if that is known), and Late if it answers
too late. Ids and versions are in canonical lower-case form.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from string import Template
from typing import Any, Literal, NamedTuple, Protocol

from config import Config
from db.cassandra.limit import Limit
from db.version import Expected, next_version
from db.video import Changes, Row, apply
from errors import Invalid, NotFound
from metrics import Publisher, Timings

IDENTITY = "identity"
"""The name of the note that holds the store's identity, a UUID that is made with the store."""

GENRE_LIST = 30
"""A genre's list has at most this many ids, the newest."""

State = Literal["starting", "up", "degraded", "down"]


class Written(NamedTuple):
    """The row before and after a write; None: no row."""

    before: Row | None
    after: Row | None


class Stored(NamedTuple):
    """A row with its hidden fields.

    ``created`` is the timeuuid of its creation, given once, which orders the genre lists.
    ``request_hash`` is the hash of the idempotent request that made the row. Cassandra alone has
    ``listed``: the genres in whose lists this row may be, or None while the loader has not written
    all of them.
    """

    row: Row
    created: str
    request_hash: str | None = None
    listed: Collection[str] | None = None

    def check_repeat(self, request_hash: str | None) -> None:
        """Raise Invalid unless the row was made by an equal idempotent request."""
        if request_hash is None or self.request_hash != request_hash:
            raise Invalid("The Idempotency-Key was used with another body")


class Entry(NamedTuple):
    """One line of a genre's list; ``version`` is the row version that wrote it."""

    genre: str
    created: str
    video_id: str
    version: str


class Place(NamedTuple):
    """The place of a row in a genre's list; ``created`` is the timeuuid of its creation."""

    created: str
    video_id: str


class VideoStore(Protocol):
    """A store as the service uses it."""

    name: str
    """The kind of store. Cursors contain it, because the order of ids differs between kinds."""
    timings: Timings
    """The times of calls by sort, for ``store_metrics``."""

    async def open(self) -> None:
        """Return soon; a store that is away is connected later.

        Raise ConfigError if no waiting can help.
        """

    async def close(self) -> None: ...

    def state(self) -> tuple[State, str]:
        """Return the state and, if it is not up, the reason in words.

        Degraded: the store answers, and requests of one sort fail.
        """

    async def identity(self) -> str:
        """Return the note IDENTITY as it is now; every cache key contains it.

        Raise Unavailable while it is not known.
        """

    async def video(self, video_id: str) -> Row: ...

    async def genre(self, genre: str) -> list[str]:
        """Return up to GENRE_LIST ids, newest added first; raise NotFound if there is none.

        ``genre`` has passed ``genre_name``.
        """

    async def genre_page(self, genre: str, after: Place | None, limit: int) -> list[Place]:
        """Return at most ``limit`` places behind ``after``, in the order of ``genre``.

        The row at ``after`` need not exist any more.
        """

    async def genres(self) -> list[str]:
        """Return every genre that has rows, sorted. Each call reads the store, so call seldom."""

    async def random_id(self) -> str:
        """Return any id; raise NotFound if the store is empty."""

    async def ids(self, after: str | None, limit: int) -> list[str]:
        """Return at most ``limit`` ids behind ``after``, in the store's own stable order.

        The id ``after`` need not exist any more.
        """

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        """Create the row, or return the row that an equal request (same hash) created before.

        Raise Invalid if another request created it.
        """

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written: ...

    async def delete(self, video_id: str, expected: Expected) -> Written: ...


class CatalogueStore(VideoStore, Protocol):
    """A store as the loader of ``db/catalog`` uses it."""

    async def note(self, name: str) -> str | None:
        """Return the text that ``set_note`` stored under ``name``, or None."""

    async def set_note(self, name: str, value: str) -> None:
        """Store a short text about the whole store.

        A new IDENTITY makes it another store to the caches, as after it was restored. Stop the
        service for that.
        """

    async def known(self, ids: Collection[str]) -> set[str]:
        """Return the ``ids`` that have a row, or had a row that was deleted."""

    async def load(self, rows: Sequence[Stored]) -> None:
        """Add rows that are not ``known``.

        A load may be repeated with the same rows, and run beside the API, because it never shadows
        a write of the API.
        """


def rewritten(before: Stored | None, changes: Changes | None, expected: Expected) -> Written:
    """Return the row before and after ``changes``; None: a deletion.

    Raise NotFound if there is no row, PreconditionFailed, or Invalid.
    """
    if before is None:
        verb = "delete" if changes is None else "update"
        raise NotFound(f"Could not {verb} a nonexistent video")
    row = before.row
    expected.check(row)
    if changes is None:
        return Written(row, None)
    return Written(row, apply(row, changes, next_version(row["lastupdated"])))


def open_store(config: Config, limit: Limit | None = None) -> CatalogueStore:
    """Return Cassandra's store if ``config`` names a contact point, else SQLite's; not opened yet.

    ``limit`` bounds the reads of requests that are at Cassandra at a time.

    The stores are imported here, because acsylla is a compiled driver that only Cassandra needs.
    """
    if config.cassandra_host:
        from db.cassandra.store import CassandraStore

        return CassandraStore(config, limit)
    from db.embedded import EmbeddedStore

    return EmbeddedStore(config.embedded_path)


def statements_of(file: Path, **parts: object) -> dict[str, str]:
    """Return the statements of ``file`` by name, with its $names filled in from ``parts``.

    A statement begins behind its line ``-- name: NAME``, and ends with its semicolon.
    """
    found = re.findall(r"^-- name: (\w+)\n(.+?);", file.read_text(), re.MULTILINE | re.DOTALL)
    return {name: Template(" ".join(text.split())).substitute(parts) for name, text in found}


def store_metrics(store: VideoStore, limit: Limit, publisher: Publisher) -> None:
    """Add the state of ``store``, the times of its calls and the numbers of ``limit``."""

    def is_up() -> bool:
        return store.state()[0] in ("up", "degraded")

    publisher.register(store.timings.histogram)
    publisher.add(store.timings.publish)
    text = "1 while the store answers; with several workers, while it answers each of them."
    publisher.gauge("content_store_up", text, is_up, "livemin")
    name, text = "content_store_reads", "Reads that are at Cassandra."
    publisher.gauge(f"{name}_in_flight", text, lambda: limit.in_flight)
    text = "How many reads may be at Cassandra at a time."
    publisher.gauge(f"{name}_limit", text, lambda: limit.limit)
    text = "How often the limit was set anew, which takes reads that fill half of it."
    publisher.counter(f"{name}_limit_updates", text, lambda: limit.updates)
    publisher.gauge(f"{name}_min", "The least that the limit can be.", lambda: limit.minimum)
    publisher.gauge(f"{name}_max", "The most: STORE_READS_MAX.", lambda: limit.maximum)
