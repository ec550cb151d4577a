"""The row: what a request body may say about it, and what it is before and after a write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from db.fields import FIELDS, TITLE_MAX
from db.version import parse_version
from errors import FieldError, Invalid

Row = dict[str, Any]
"""A row as the API shows it, keys in the order of ``COLUMNS``."""

SERIES_ONLY = "belongs to a series, not to a movie"
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
            if name in self.spelled and not (value is None and self.values[name] is None):
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
