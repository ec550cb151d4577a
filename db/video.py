"""The row: its fields and what a request body may say about them.

``FIELDS`` is the one definition: it validates request bodies here and describes them in
``/openapi.json``. Nothing is coerced, because Cassandra's driver would: it binds 1.7 to an int as
1, True as 1, and a string to a set as its characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from db.version import parse_version
from errors import FieldError, Invalid

Row = dict[str, Any]
"""A row as the API shows it, keys in the order of ``COLUMNS``."""

INT32_MAX = 2**31 - 1
TITLE_MAX = 500
GENRE_MAX = 100
GENRES_MAX = 20
TEXT_MAX = 10_000
SERIES_ONLY = "belongs to a series, not to a movie"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

Check = Callable[[object], Any]


def _text(maximum: int = TEXT_MAX) -> Check:
    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("has to be a string")
        if len(value) > maximum:
            raise ValueError(f"has to be at most {maximum:,} characters")
        if "\x00" in value or _SURROGATE.search(value):
            raise ValueError("has a character that cannot be stored")
        return value

    return check


def _title(value: object) -> str:
    title: str = _text(TITLE_MAX)(value)
    if not title.strip():
        raise ValueError("has to be more than blanks")
    return title


def is_genre(text: str) -> bool:
    """Whether ``text`` could be a genre's name at all."""
    return (
        0 < len(text) <= GENRE_MAX
        and text not in (".", "..")  # no URL can name these: every client resolves them
        and not _CONTROL.search(text)
        and not _SURROGATE.search(text)
    )


def _texts(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("has to be an array of strings")
    check = _text()
    try:
        return sorted({check(text) for text in value})
    except ValueError as error:
        raise ValueError(f"every element {error}") from None


def _genres(value: object) -> list[str]:
    genres = _texts(value)
    if not 1 <= len(genres) <= GENRES_MAX:
        raise ValueError(f"has to name 1 to {GENRES_MAX} genres")
    if not all(map(is_genre, genres)):
        raise ValueError(f"a genre has 1 to {GENRE_MAX} characters, no control characters")
    return genres


def _integer(value: object) -> int:
    if type(value) is not int:  # bool is an int to isinstance
        raise ValueError("has to be an integer")
    if not 0 <= value <= INT32_MAX:
        raise ValueError(f"has to be between 0 and {INT32_MAX}")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("has to be true or false")
    return value


def _schema(kind: str, **bounds: object) -> dict[str, Any]:
    return {"type": kind, **bounds}


# what str.strip() takes away; \s is another set in JSON Schema's dialect, ECMA-262
_BLANK = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_NOT_BLANK = rf"^[^\x00]*[^\x00{_BLANK}][^\x00]*$"

TEXT = _schema("string", maxLength=TEXT_MAX, pattern=r"^[^\x00]*$")
TEXTS = _schema("array", items=TEXT)
INTEGER = _schema("integer", minimum=0, maximum=INT32_MAX)
BOOLEAN = _schema("boolean")
TITLE = _schema("string", minLength=1, maxLength=TITLE_MAX, pattern=_NOT_BLANK)
GENRE = _schema("string", minLength=1, maxLength=GENRE_MAX, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
GENRE["not"] = {"enum": [".", ".."]}
# duplicates merge before they are counted: a few more than the contract promises may pass
GENRES = _schema("array", items=GENRE, minItems=1, maxItems=GENRES_MAX)


class Field(NamedTuple):
    """One settable field: ``name`` in answers, ``spelling`` in the original's requests."""

    name: str
    spelling: str
    check: Check
    schema: dict[str, Any]
    required: bool = False

    @property
    def empty(self) -> Any:
        """What an absent value is in a row."""
        return [] if self.schema["type"] == "array" else None


FIELDS = (
    Field("title", "title", _title, TITLE, required=True),
    Field("description", "description", _text(), TEXT),
    Field("genres", "genres", _genres, GENRES, required=True),
    Field("cast", "cast", _texts, TEXTS),
    Field("director", "director", _text(), TEXT),
    Field("duration", "duration", _integer, INTEGER),
    Field("rating", "rating", _text(), TEXT),
    Field("releasedate", "releaseDate", _integer, INTEGER),
    Field("isoriginal", "isOriginal", _boolean, BOOLEAN),
    Field("ismovie", "isMovie", _boolean, BOOLEAN, required=True),
    Field("locationuri", "locationURI", _text(), TEXT),
    Field("thumbnailurl", "thumbnailURL", _text(), TEXT),
    Field("trailerurl", "trailerURL", _text(), TEXT),
    Field("regions", "regions", _texts, TEXTS),
    Field("seasons", "seasons", _integer, INTEGER),
)
COLUMNS = ("id", "lastupdated", *(field.name for field in FIELDS))
_BY_NAME = {field.name: field for field in FIELDS}
_EMPTY_ARRAYS = tuple(field.name for field in FIELDS if field.empty is not None)


class _Body:
    """Reads a request body once and gathers every complaint."""

    def __init__(self, body: object, message: str):
        if not isinstance(body, dict):
            raise Invalid(message, [FieldError("", "the body has to be a JSON object")])
        self.message = message
        self.values: dict[str, Any] = {}
        self.errors: list[FieldError] = []
        self.spelled: dict[str, str] = {}
        for key, value in body.items():
            name = key.lower()
            if name in self.spelled:
                self.complain(key, f"is there twice, as {self.spelled[name]} too")
            else:
                self.spelled[name] = key
                self.values[name] = value

    def complain(self, field: str, message: str) -> None:
        # what the caller sent may not be encodable, and an error has to be
        printable = field.encode("utf-8", "backslashreplace").decode()[:TITLE_MAX]
        self.errors.append(FieldError(printable, message))

    def fields(self) -> dict[str, Any]:
        """Checks what is left in ``values`` against ``FIELDS``."""
        checked: dict[str, Any] = {}
        for name, value in self.values.items():
            field = _BY_NAME.get(name)
            try:
                if field is None:
                    ours = name in ("id", "lastupdated")
                    raise ValueError("is set by the service" if ours else "is not a known field")
                if value is None and field.required:
                    raise ValueError("is required, and null is no value for it")
                if value is None:
                    checked[name] = field.empty
                else:
                    checked[name] = field.check(value)
            except ValueError as error:
                self.complain(self.spelled[name], str(error))
        return checked

    def finish(self) -> None:
        if self.errors:
            raise Invalid(self.message, self.errors)


class Changes(NamedTuple):
    """A PATCH: new values by field name, and the version that the caller says it has seen."""

    values: dict[str, Any]
    last_updated: str | None = None


def parse_draft(body: object) -> dict[str, Any]:
    """A POST body as values by field name, complete. Raises Invalid with every wrong field."""
    message = "Could not post an invalid video"
    reader = _Body(body, message)
    checked = reader.fields()
    for field in FIELDS:
        if field.required and field.name not in reader.values:
            reader.complain(field.spelling, "is required")
    if checked.get("ismovie") and checked.get("seasons") is not None:
        reader.complain(reader.spelled["seasons"], SERIES_ONLY)
    reader.finish()
    return {field.name: checked.get(field.name, field.empty) for field in FIELDS}


def parse_changes(body: object, video_id: str) -> Changes:
    """A PATCH body. Raises Invalid with every wrong field, or when nothing would change."""
    reader = _Body(body, "Could not update a video with invalid fields")
    given_id = reader.values.pop("id", video_id)
    if not isinstance(given_id, str) or given_id.lower() != video_id:
        reader.complain(reader.spelled["id"], "is not the id of this row")
    version = None
    if "lastupdated" in reader.values:
        version = parse_version(reader.values.pop("lastupdated"))
        if version is None:
            reader.complain(reader.spelled["lastupdated"], "has to be a version (timeuuid)")
    checked = reader.fields()
    if checked.get("ismovie") and checked.get("seasons") is not None:
        reader.complain(reader.spelled["seasons"], SERIES_ONLY)
    if not checked and not reader.errors:
        reader.complain("", "there is nothing to change")
    reader.finish()
    return Changes(checked, version)


def build(video_id: str, version: str, values: Mapping[str, Any]) -> Row:
    """The row of ``values``, in the order and the shape that the API shows."""
    row: Row = {"id": video_id, "lastupdated": version}
    for field in FIELDS:
        value = values.get(field.name)
        row[field.name] = field.empty if value is None else value
    if row["ismovie"]:
        del row["seasons"]
    return row


def shape(row: Row) -> Row:
    """Puts a row rendered by Cassandra right, in place: empty sets are null in there."""
    for name in _EMPTY_ARRAYS:
        if row[name] is None:
            row[name] = []
    if row["ismovie"]:
        del row["seasons"]
    return row


def apply(row: Row, changes: Changes, version: str) -> Row:
    """The row after a PATCH. Raises Invalid when a movie would get seasons."""
    values = {**row, **changes.values}
    if values["ismovie"] and changes.values.get("seasons") is not None:
        error = FieldError("seasons", SERIES_ONLY)
        raise Invalid("Could not update a video with invalid fields", [error])
    return build(row["id"], version, values)


def genres_left(before: Row | None, after: Row | None) -> tuple[Iterable[str], Iterable[str]]:
    """The genres that a write removes the row from, and those that it adds it to."""
    old = set(before["genres"]) if before else set()
    new = set(after["genres"]) if after else set()
    return sorted(old - new), sorted(new - old)
