"""Rows and request bodies: parse and check a body, make a row, and apply a PATCH."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from db.fields import FIELDS
from db.version import parse_version
from errors import ERRORS_MAX, FieldError, Invalid

Row = dict[str, Any]
"""A row as the API shows it, keys in the order of ``COLUMNS``."""

NOT_UPDATED = "Could not update a video with invalid fields"
SERIES_ONLY = "belongs to a series, not to a movie"
KEYS_MAX = 64
"""At most this many keys of a body are read; a video has 17."""
NAME_MAX = 40
"""At most this many characters of a wrong key are repeated in its error."""
_BY_NAME = {field.name: field for field in FIELDS}
_OURS = ("id", "lastupdated")
_EMPTY_ARRAYS = tuple(field.name for field in FIELDS if field.empty is not None)


class _Body:
    """A request body, read once, and all its errors. It takes less than a millisecond."""

    def __init__(self, body: object, message: str):
        if not isinstance(body, dict):
            raise Invalid(message, [FieldError("", "the body has to be a JSON object")])
        self.message = message
        self.values: dict[str, Any] = {}
        self.errors: list[FieldError] = []
        self.more = 0
        self.spelled: dict[str, str] = {}
        self.unread = max(0, len(body) - KEYS_MAX)
        if self.unread:
            self.complain("", f"has {len(body):,} fields, of which {KEYS_MAX} were looked at")
        for key, value in islice(body.items(), KEYS_MAX):
            name = key.lower()
            known = name in _BY_NAME or name in _OURS
            if known and name in self.values and (value, self.values[name]) != (None, None):
                self.complain(key, f"is there twice, as {self.spelled[name]} too")
            else:
                self.spelled[name] = key
                self.values[name] = value

    def complain(self, field: str, message: str) -> None:
        if len(self.errors) >= ERRORS_MAX:
            self.more += 1
            return
        # a key may have half of a surrogate pair, which cannot be encoded
        printable = field[:NAME_MAX].encode("utf-8", "backslashreplace").decode()[:NAME_MAX]
        self.errors.append(FieldError(printable, message))

    def fields(self) -> dict[str, Any]:
        """Check ``values`` by FIELDS, and return the valid values by field name."""
        checked: dict[str, Any] = {}
        for name, value in self.values.items():
            field = _BY_NAME.get(name)
            try:
                if field is None:
                    ours = name in _OURS
                    raise ValueError("is set by the service" if ours else "is not a known field")
                if value is None and field.required:
                    raise ValueError("is required")
                if value is None:
                    checked[name] = field.empty
                else:
                    checked[name] = field.check(value)
            except ValueError as error:
                self.complain(self.spelled[name], str(error))
        return checked

    def finish(self) -> None:
        if self.errors:
            raise Invalid(self.message, self.errors, self.more + self.unread)


class Changes(NamedTuple):
    """A PATCH: new values by field name, and the version that the caller claims to have seen."""

    values: dict[str, Any]
    last_updated: str | None = None

    def check(self) -> None:
        """Raise Invalid if there is nothing to change. An absent row is a 404 before this."""
        if not self.values:
            raise Invalid(NOT_UPDATED, [FieldError("", "there is nothing to change")])


def parse_draft(body: object) -> dict[str, Any]:
    """Return a value for every field from a POST body. Raise Invalid with the wrong fields."""
    message = "Could not post an invalid video"
    reader = _Body(body, message)
    checked = reader.fields()
    for field in FIELDS:
        if field.required and field.name not in reader.values and not reader.unread:
            reader.complain(field.spelling, "is required")
    if checked.get("ismovie") and checked.get("seasons") is not None:
        reader.complain(reader.spelled["seasons"], SERIES_ONLY)
    reader.finish()
    return {field.name: checked.get(field.name, field.empty) for field in FIELDS}


def parse_changes(body: object, video_id: str) -> Changes:
    """Return the changes of a PATCH body. Raise Invalid with the wrong fields."""
    reader = _Body(body, NOT_UPDATED)
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
    reader.finish()
    return Changes(checked, version)


def build(video_id: str, version: str, values: Mapping[str, Any]) -> Row:
    """Return the row of ``values``, in the order and the shape that the API shows."""
    row: Row = {"id": video_id, "lastupdated": version}
    for field in FIELDS:
        value = values.get(field.name)
        row[field.name] = field.empty if value is None else value
    if row["ismovie"]:
        del row["seasons"]
    return row


def shape(row: Row) -> Row:
    """Correct Cassandra's rendering of a row in place: null sets, and the seasons of a movie."""
    for name in _EMPTY_ARRAYS:
        if row[name] is None:
            row[name] = []
    if row["ismovie"]:
        del row["seasons"]
    return row


def apply(row: Row, changes: Changes, version: str) -> Row:
    """Return ``row`` after a PATCH. Raise Invalid for no changes, and for seasons of a movie."""
    changes.check()
    values = {**row, **changes.values}
    if values["ismovie"] and changes.values.get("seasons") is not None:
        error = FieldError("seasons", SERIES_ONLY)
        raise Invalid(NOT_UPDATED, [error])
    return build(row["id"], version, values)


def genres_left(before: Row | None, after: Row | None) -> tuple[Iterable[str], Iterable[str]]:
    """Return the genres that a write removes the row from, and the genres that it adds."""
    old = set(before["genres"]) if before else set()
    new = set(after["genres"]) if after else set()
    return sorted(old - new), sorted(new - old)
