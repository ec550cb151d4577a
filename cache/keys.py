"""Keys: one name for the same thing in every layer, the canonical path that answers with it.

Pure functions. A key is what a request's path becomes once its id is in lower case and its genre
is encoded in one way, so the fast lane can look up a request target as it stands.
"""

from __future__ import annotations

from urllib.parse import quote

from db.version import parse_id
from db.video import is_genre

ROW = "/content/"
GENRE = "/content/genre/"


def row_key(video_id: str) -> str:
    """The key of a row; ``video_id`` in canonical form."""
    return ROW + video_id


def genre_key(genre: str) -> str:
    """The key of a genre's list. Encoded as browsers and ``encodeURIComponent`` do."""
    return GENRE + quote(genre, safe="!'()*")


def key_of(path: str) -> str | None:
    """The key that a decoded path asks for; None when it asks for nothing that is cached."""
    if not path.startswith(ROW):
        return None
    if path.startswith(GENRE):
        genre = path[len(GENRE) :]
        return genre_key(genre) if is_genre(genre) else None
    video_id = parse_id(path[len(ROW) :])
    return None if video_id is None else ROW + video_id
