"""Rows and request bodies: parse and check a body, make a row, and apply a PATCH."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from db.fields import FIELDS, Field
from db.version import parse_version
from errors import FieldError, Invalid

Row = dict[str, Any]
"""A row as the API shows it, keys in the order of ``COLUMNS``."""

NOT_UPDATED = "Could not update a video with invalid fields"
SERIES_ONLY = "belongs to a series, not to a movie"
KEYS_MAX = 64
"""A body with more keys is refused whole; a video has 17."""
NAME_MAX = 40
"""At most this many characters of a wrong key are repeated in its error."""
_BY_NAME = {field.name: field for field in FIELDS}
_OURS = ("id", "lastupdated")
_EMPTY_ARRAYS = tuple(field.name for field in FIELDS if field.is_list)


class _Body:
    """A request body, read once, and all its errors.

    Names of fields are in lower case; errors spell them as the caller did.
    """

    def __init__(self, body: object, message: str):
        if not isinstance(body, dict):
            raise Invalid(message, [FieldError("", "the body has to be a JSON object")])
        if len(body) > KEYS_MAX:
            raise Invalid(message, [FieldError("", f"has more than {KEYS_MAX} fields")])
        self._message = message
        self._errors: list[FieldError] = []
        self.spelled: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        for key, value in body.items():
            name = key.lower()
            if name in self.values and (value, self.values[name]) != (None, None):
                self.refuse(key, "is there twice")
            self.values[name], self.spelled[name] = value, key

    def refuse(self, key: str, message: str) -> None:
        # a key may have half of a surrogate pair, which cannot be encoded
        printable = key[:NAME_MAX].encode("utf-8", "backslashreplace").decode()[:NAME_MAX]
        self._errors.append(FieldError(printable, message))

    def require(self, field: Field) -> None:
        if field.name not in self.values:
            self.values[field.name], self.spelled[field.name] = None, field.spelling

    def checked(self) -> dict[str, Any]:
        """Return the valid ``values`` by field name. Raise Invalid with the wrong fields."""
        checked: dict[str, Any] = {}
        for name, value in self.values.items():
            try:
                checked[name] = _check(name, value)
            except ValueError as error:
                self.refuse(self.spelled[name], str(error))
        if checked.get("ismovie") and checked.get("seasons") is not None:
            self.refuse(self.spelled["seasons"], SERIES_ONLY)
        if self._errors:
            raise Invalid(self._message, self._errors)
        return checked


def _check(name: str, value: object) -> Any:
    """Return ``value`` as the field ``name`` stores it. Raise ValueError if it is wrong."""
    field = _BY_NAME.get(name)
    if field is None:
        raise ValueError("is set by the service" if name in _OURS else "is not a known field")
    if value is None and field.required:
        raise ValueError("is required")
    return field.empty if value is None else field.check(value)


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
    draft = _Body(body, "Could not post an invalid video")
    for field in FIELDS:
        if field.required:
            draft.require(field)
    checked = draft.checked()
    return {field.name: checked.get(field.name, field.empty) for field in FIELDS}


def parse_changes(body: object, video_id: str) -> Changes:
    """Return the changes of a PATCH body. Raise Invalid with the wrong fields."""
    changes = _Body(body, NOT_UPDATED)
    given_id = changes.values.pop("id", video_id)
    if not isinstance(given_id, str) or given_id.lower() != video_id:
        changes.refuse(changes.spelled["id"], "is not the id of this row")
    version = None
    if "lastupdated" in changes.values:
        version = parse_version(changes.values.pop("lastupdated"))
        if version is None:
            changes.refuse(changes.spelled["lastupdated"], "has to be a version (timeuuid)")
    return Changes(changes.checked(), version)


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
