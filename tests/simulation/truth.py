"""The ground truth of a schedule: every state that each row and each genre's list ever had.

The simulated Cassandra notes each change at the moment at which it takes effect, with the client's
operation that caused it. The judge compares answers with these histories.
"""

from collections import defaultdict
from contextvars import ContextVar
from typing import NamedTuple

operation: ContextVar[int] = ContextVar("operation", default=0)
"""The number of the client's operation that the running task works for; 0 for none. Tasks inherit
it, so that work which goes on in the background is still known to be that operation's."""


class State(NamedTuple):
    """One state of a row; ``version`` is None while the row is absent."""

    place: int
    version: str | None
    at_s: float
    number: int
    genres: frozenset[str] = frozenset()


class Listing(NamedTuple):
    """One state of a genre's list, newest first."""

    place: int
    ids: tuple[str, ...]
    at_s: float
    number: int


class Truth:
    """Histories by row id and by genre; each begins with an absent row or an empty list."""

    def __init__(self) -> None:
        self.rows: defaultdict[str, list[State]] = defaultdict(lambda: [State(0, None, 0.0, 0)])
        self.lists: defaultdict[str, list[Listing]] = defaultdict(lambda: [Listing(0, (), 0.0, 0)])
        self.places: dict[str, int] = {}
        """Of each version, its place in the history of its row."""
        self.writes: set[int] = set()
        """The numbers of the operations that are writes."""
        self.revived: set[str] = set()
        """Rows that a delayed creation made after its client had given up."""
        self.unnamed: set[str] = set()
        """Genres whose name a delayed removal took away after its client had given up."""

    def row_changed(
        self,
        video_id: str,
        version: str | None,
        at_s: float,
        number: int,
        genres: frozenset[str] = frozenset(),
    ) -> None:
        history = self.rows[video_id]
        place = len(history)
        history.append(State(place, version, at_s, number, genres))
        if version is not None:
            self.places[version] = place

    def list_changed(self, genre: str, ids: tuple[str, ...], at_s: float, number: int) -> None:
        history = self.lists[genre]
        if history[-1].ids != ids:
            history.append(Listing(len(history), ids, at_s, number))
