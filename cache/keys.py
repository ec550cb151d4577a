"""Keys: one name for the same thing in every layer, the canonical path that answers with it.

Pure functions. A key is what a request's path becomes once its id is in lower case and its genre
is encoded in one way, so the fast lane can look up a request target as it stands.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from db.fields import genre_name
from db.version import parse_id

ROW = "/content/"
GENRE = "/content/genre/"
HOME = "/home"
ROW_ROUTE = "/content/{id}"
GENRE_ROUTE = "/content/genre/{genre:path}"
BY_QUERY = "/content"
_ROW_LENGTH = len(ROW) + 36
_BY_QUERY = re.compile(
    rb"videoId=(%22|%27|\"|'|)([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\1"
)


def row_key(video_id: str) -> str:
    """The key of a row; ``video_id`` in canonical form."""
    return ROW + video_id


@lru_cache(16_384)
def genre_key(genre: str) -> str:
    """The key of a genre's list. Encoded as browsers and ``encodeURIComponent`` do, which for the
    ten of a home page would cost more than to find their lists."""
    return GENRE + quote(genre, safe="!'()*")


def genre_of(key: str) -> str:
    """The genre of which ``key`` is the list's."""
    return unquote(key[len(GENRE) :])


def key_of(path: str, query: bytes = b"") -> str | None:
    """The key that a decoded path asks for; None when it asks for nothing that is cached, or in a
    way that only the handler understands."""
    if path == BY_QUERY:
        plain = _BY_QUERY.fullmatch(query)
        return ROW + plain[2].decode().lower() if plain else None
    if not path.startswith(ROW):
        return None
    if path.startswith(GENRE):
        genre = genre_name(path[len(GENRE) :])
        return None if genre is None else genre_key(genre)
    video_id = parse_id(path[len(ROW) :])
    return None if video_id is None else ROW + video_id


def is_row(key: str) -> bool:
    """Whether a request target is the key of a row, spelled as keys are."""
    return (
        len(key) == _ROW_LENGTH
        and key.startswith(ROW)
        and key[len(ROW) :] == parse_id(key[len(ROW) :])
    )


def is_list(key: str) -> bool:
    """Whether a key is that of a genre's list."""
    return key.startswith(GENRE)


def route_of(key: str) -> str:
    """The route template that answers a key's path: its label in metrics."""
    return GENRE_ROUTE if is_list(key) else ROW_ROUTE
