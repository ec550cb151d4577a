"""The fields of a row and the values that each field accepts.

``api/openapi.json`` describes the same limits to clients; a test compares both. Nothing is coerced,
because Cassandra's driver would: it binds 1.7 to an int as 1, True as 1, and a string to a set as
its characters.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any, NamedTuple

INT32_MAX = 2**31 - 1
TITLE_MAX = 500
GENRE_MAX = 100
GENRES_MAX = 20
NAMES_MAX = 2_000
"""At most this many elements of ``cast``, and of ``regions``."""
DATE_MAX = 100
TEXT_MAX = 10_000
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_UNNAMEABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

Check = Callable[[object], Any]


def _text(maximum: int = TEXT_MAX, *, is_filled: bool = False) -> Check:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("has to be a string")
        if len(value) > maximum:
            raise ValueError(f"has to be at most {maximum:,} characters")
        if "\x00" in value or (not value.isascii() and _SURROGATE.search(value)):
            raise ValueError("has a character that cannot be stored")
        if is_filled and not value.strip():
            raise ValueError("has to be more than blanks")
        return value

    return check


def genre_name(text: str) -> str | None:
    """Return ``text`` in NFC, as rows name genres; None if it is no valid name."""
    if len(text) > 3 * GENRE_MAX:  # NFC cannot make it short enough, and is slow for long texts
        return None
    name = text if text.isascii() else unicodedata.normalize("NFC", text)
    if len(name) > GENRE_MAX or not name.strip() or _UNNAMEABLE.search(name):
        return None
    return None if name in (".", "..") else name  # every client resolves these in a URL


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("has to be an array of strings")
    if len(value) > NAMES_MAX:
        raise ValueError(f"has to name at most {NAMES_MAX}")
    check = _text()
    try:
        return sorted({check(text) for text in value})
    except ValueError as error:
        raise ValueError(f"every element {error}") from None


def _genres(value: object) -> list[str]:
    genres = _texts(value)  # without duplicates, which the contract's maxItems counts
    if not 1 <= len(genres) <= GENRES_MAX:
        raise ValueError(f"has to name 1 to {GENRES_MAX} genres")
    names = [genre_name(genre) for genre in genres]
    if None in names:
        raise ValueError(
            f"a genre has 1 to {GENRE_MAX} characters, not blanks alone, no control characters, "
            "and is not . or .."
        )
    return sorted({name for name in names if name})


def _integer(value: object) -> int:
    if type(value) is int and 0 <= value <= INT32_MAX:  # to isinstance a bool is an int
        return value
    if type(value) is int or (type(value) is float and value > INT32_MAX):
        # orjson makes a float of an integer above 64 bits
        raise ValueError(f"has to be between 0 and {INT32_MAX}")
    raise ValueError("has to be an integer")


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("has to be true or false")
    return value


class Field(NamedTuple):
    """One settable field: ``name`` in answers, ``spelling`` in the original's requests."""

    name: str
    spelling: str
    check: Check
    required: bool = False
    is_list: bool = False

    @property
    def empty(self) -> Any:
        """Return the value of the field in a row that has none."""
        return [] if self.is_list else None

    def accept(self, value: object) -> Any:
        """Return ``value`` as rows store it. Raise ValueError if it is wrong."""
        if value is not None:
            return self.check(value)
        if self.required:
            raise ValueError("is required")
        return self.empty


FIELDS = (
    Field("title", "title", _text(TITLE_MAX, is_filled=True), required=True),
    Field("description", "description", _text()),
    Field("genres", "genres", _genres, required=True, is_list=True),
    Field("cast", "cast", _texts, is_list=True),
    Field("director", "director", _text()),
    Field("duration", "duration", _integer),
    Field("rating", "rating", _text()),
    Field("releasedate", "releaseDate", _text(DATE_MAX)),
    Field("isoriginal", "isOriginal", _boolean),
    Field("ismovie", "isMovie", _boolean, required=True),
    Field("locationuri", "locationURI", _text()),
    Field("thumbnailurl", "thumbnailURL", _text()),
    Field("trailerurl", "trailerURL", _text()),
    Field("regions", "regions", _texts, is_list=True),
    Field("seasons", "seasons", _integer),
)
COLUMNS = ("id", "lastupdated", *(field.name for field in FIELDS))
