"""The port to where rows live; ``db/cassandra.py`` and ``db/embedded.py`` are its adapters.

One contract suite holds both: what a caller can see of a store is the same, down to the order of
every list. Absence raises NotFound; a store that is away raises Unavailable, at once when that is
known; one that is late raises Late. Ids and versions come in canonical, lower-case form.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from db.version import Expected
from db.video import Changes, Row

IDENTITY = "identity"
"""The note that tells a store from every other: a UUID, made with the store."""

GENRE_LIST = 30
"""How many ids a genre's list has at most; the newest."""

State = Literal["starting", "up", "degraded", "down"]


class Written(NamedTuple):
    """What a write did: the row it found and the row it left (None: no row)."""

    before: Row | None
    after: Row | None


class Stored(NamedTuple):
    """A row with what the API does not show: when it was added (a timeuuid, given once, which
    orders the genre lists) and the hash of the idempotent request that made it."""

    row: Row
    created: str
    request_hash: str | None = None


class Entry(NamedTuple):
    """One line of a genre's list; ``version`` is the row version that wrote it."""

    genre: str
    created: str
    video_id: str
    version: str


class VideoStore(Protocol):
    """What the service needs of a store."""

    name: str
    """Which adapter: part of cursors, as the order of ids differs between adapters."""

    async def open(self) -> None:
        """Returns soon; a store that is away comes to life later. Raises ConfigError when no
        waiting can help."""

    async def close(self) -> None: ...

    def state(self) -> tuple[State, str]:
        """The state and, when not up, the reason in words. Degraded: it is there, and requests of
        one sort fail."""

    async def identity(self) -> str:
        """Return the note IDENTITY as it is now: part of every cache key. Raise Unavailable while
        it is not known."""

    async def video(self, video_id: str) -> Row: ...

    async def genre(self, genre: str) -> list[str]:
        """Up to GENRE_LIST ids, newest added first; NotFound when there is none. ``genre`` is one
        that ``is_genre`` lets pass."""

    async def genres(self) -> list[str]:
        """Every genre that has rows, sorted; read for whoever asks, who should not ask often."""

    async def random_id(self) -> str:
        """Any id; NotFound when the store is empty."""

    async def ids(self, after: str | None, limit: int) -> list[str]:
        """At most ``limit`` ids behind ``after``, which need not exist any more, in the store's
        own stable order."""

    async def create(self, video_id: str, values: dict[str, Any], request_hash: str | None) -> Row:
        """Makes the row, or finds it when an equal request (same hash) made it before; Invalid
        when another request did."""

    async def update(self, video_id: str, changes: Changes, expected: Expected) -> Written: ...

    async def delete(self, video_id: str, expected: Expected) -> Written: ...


class CatalogueStore(VideoStore, Protocol):
    """What the loader and the repair need beside it."""

    async def note(self, name: str) -> str | None:
        """Return the text that ``set_note`` stored under ``name``; None when there is none."""

    async def set_note(self, name: str, value: str) -> None:
        """Store a short text about the whole store."""

    async def renew_identity(self) -> None:
        """Give the store another identity, after it was restored: whatever is cached of its rows
        is of the time before. Stop the service for it."""

    async def known(self, ids: Collection[str]) -> set[str]:
        """Return those ``ids`` that have a row, or had one that was deleted."""

    async def load(self, rows: Sequence[Stored]) -> None:
        """Add rows that are not ``known``. May be repeated with the same rows, and run beside
        the API: a load never shadows a write of the API."""

    async def find(self, video_id: str) -> Stored | None:
        """Return the row with its hidden fields, or None when there is no row."""

    def scan(self, after: str | None = None) -> AsyncIterator[Stored]:
        """Every row, in the order of ``ids``."""

    def entries(self) -> AsyncIterator[Entry]:
        """Every line of every genre list, whether its row is there or not."""

    async def put_entry(self, entry: Entry) -> None:
        """Writes a line with its version's timestamp."""

    async def drop_entry(self, entry: Entry) -> None:
        """Deletes a line with its version's timestamp: a later write of it survives, one of the
        same microsecond does not."""

    async def check_genres(self, genres: Collection[str]) -> None:
        """Make the list of genres agree with the lines of ``genres``, after a crash."""
