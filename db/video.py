"""Rows and request bodies: parse and check a body, make a row, and apply a PATCH."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from db.fields import FIELDS, Check, Field
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
_CHECKS: Mapping[str, Check] = {field.name: field.accept for field in FIELDS}
_OURS = ("id", "lastupdated")
_EMPTY_ARRAYS = tuple(field.name for field in FIELDS if field.is_list)


def _checked(
    body: object, message: str, checks: Mapping[str, Check], wanted: Iterable[Field] = ()
) -> dict[str, Any]:
    """Return the values of ``body`` by field name, as ``checks`` return them.

    Keys are compared in lower case. A field of ``wanted`` that ``body`` lacks is checked as null.
    Raise Invalid with ``message`` and all wrong fields, spelled as the caller did.
    """
    if not isinstance(body, dict):
        raise Invalid(message, [FieldError("", "the body has to be a JSON object")])
    if len(body) > KEYS_MAX:
        raise Invalid(message, [FieldError("", f"has more than {KEYS_MAX} fields")])
    spelled: dict[str, str] = {}
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    names = {key.lower() for key in body}
    absent = [(field.spelling, None) for field in wanted if field.name not in names]
    for key, value in [*body.items(), *absent]:
        name = key.lower()
        try:
            if name in spelled and (value, body[spelled[name]]) != (None, None):
                raise ValueError("is there twice")
            spelled[name] = key
            if name not in checks:
                raise ValueError(
                    "is set by the service" if name in _OURS else "is not a known field"
                )
            values[name] = checks[name](value)
        except ValueError as error:
            errors.append(FieldError(_printable(key), str(error)))
    if values.get("ismovie") and values.get("seasons") is not None:
        errors.append(FieldError(spelled["seasons"], SERIES_ONLY))
    if errors:
        raise Invalid(message, errors)
    return values


def _printable(key: str) -> str:
    """Return the beginning of ``key``, with escapes for characters that cannot be shown."""
    shown = (each if each.isprintable() else repr(each)[1:-1] for each in key[:NAME_MAX])
    return "".join(shown)[:NAME_MAX]


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
    return _checked(body, "Could not post an invalid video", _CHECKS, FIELDS)


def parse_changes(body: object, video_id: str) -> Changes:
    """Return the changes of a PATCH body. Raise Invalid with the wrong fields."""

    def check_id(value: object) -> None:
        if not isinstance(value, str) or value.lower() != video_id:
            raise ValueError("is not the id of this row")

    checks = {**_CHECKS, "id": check_id, "lastupdated": _version}
    values = _checked(body, NOT_UPDATED, checks)
    values.pop("id", None)
    return Changes(values, values.pop("lastupdated", None))


def _version(value: object) -> str:
    if version := parse_version(value):
        return version
    raise ValueError("has to be a version (timeuuid)")


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
        raise Invalid(NOT_UPDATED, [FieldError("seasons", SERIES_ONLY)])
    return build(row["id"], version, values)
