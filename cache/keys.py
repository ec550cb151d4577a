"""Keys of the caches: the key of an answer is its canonical path, in every layer.

A canonical path has its id in lower case, and its genre encoded in one way. So the lane can look up
a request target as it stands. The functions are pure.
"""

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from db.fields import genre_name
from db.version import UUID, parse_id

ROW = "/content/"
GENRE = "/content/genre/"
HOME = "/home"
ROW_ROUTE = "/content/{id}"
GENRE_ROUTE = "/content/genre/{genre:path}"
BY_QUERY = "/content"
SEVERAL = "/content?ids="
IDS_MAX = 100
"""At most this many rows are asked for at once."""
is_row = re.compile(f"{ROW}{UUID}").fullmatch
"""Matches a request target that is the key of a row, in canonical spelling."""
is_several = re.compile(f"{re.escape(SEVERAL)}{UUID}(?:,{UUID}){{0,{IDS_MAX - 1}}}").fullmatch
"""Matches a request target that names rows by their ids in canonical spelling."""
_BY_QUERY = re.compile(rf"videoId=(%22|%27|\"|'|)((?i:{UUID}))\1")


def row_key(video_id: str) -> str:
    """Return the key of a row. ``video_id`` is in canonical form."""
    return ROW + video_id


@lru_cache(16_384)
def genre_key(genre: str) -> str:
    """Return the key of a genre's list, encoded as browsers and ``encodeURIComponent`` do.

    Results are cached, because encoding ten genres costs more than finding the ten lists of a home
    page.
    """
    return GENRE + quote(genre, safe="!'()*")


def genre_of(key: str) -> str:
    """Return the genre of a list's key."""
    return unquote(key[len(GENRE) :])


def key_of(path: str, query: bytes = b"") -> str | None:
    """Return the key of the answer to a GET of this decoded path.

    Return None if that answer is not cached, or if only the handler can understand the path and the
    query. The query of a genre may ask for another page than the cached one.
    """
    if path == BY_QUERY:
        plain = _BY_QUERY.fullmatch(query.decode("latin-1"))
        return ROW + plain[2].lower() if plain else None
    if not path.startswith(ROW):
        return None
    if path.startswith(GENRE):
        genre = None if query else genre_name(path[len(GENRE) :])
        return None if genre is None else genre_key(genre)
    video_id = parse_id(path[len(ROW) :])
    return None if video_id is None else ROW + video_id


def is_list(key: str) -> bool:
    """Return whether a key belongs to a genre's list."""
    return key.startswith(GENRE)


def route_of(key: str) -> str:
    """Return the route template of a key's path, which is the label in metrics."""
    return GENRE_ROUTE if is_list(key) else ROW_ROUTE
