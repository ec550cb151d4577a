"""The schemas of the contract: what bodies and answers look like.

They are made from what validates (``db.fields.FIELDS``), so that the contract cannot say another
thing than the service does; a test holds both against each other and against real answers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from db.fields import COLUMNS, FIELDS, GENRE, Field
from db.store import GENRE_LIST
from db.video import build, parse_draft
from errors import ERRORS_MAX

Schema = dict[str, Any]

_HEX = "[0-9a-f]{8}-[0-9a-f]{4}-%s[0-9a-f]{3}-%s[0-9a-f]{3}-[0-9a-f]{12}"
UUID: Schema = {"type": "string", "format": "uuid"}
ID: Schema = {
    **UUID,
    "pattern": f"^{_HEX % ('[0-9a-f]', '[0-9a-f]')}$",
    "examples": ["8987f37d-2550-4728-b30a-43df5932bcb2"],
}
VERSION: Schema = {
    **UUID,
    "pattern": f"^{_HEX % ('1', '[89ab]')}$",
    "description": "A timeuuid, new at every write.",
    "examples": ["0811319a-e871-11f1-84d6-c4d8a7597201"],
}
STRING: Schema = {"type": "string"}
NOTES = {
    "duration": "In seconds.",
    "releasedate": "Any text, such as a date or a year.",
    "seasons": "Of a series; a movie has none.",
}
DRAFT_EXAMPLE: Schema = {
    "title": "The Long Way Home",
    "description": "Two sisters walk the coast.",
    "genres": ["Drama", "Travel"],
    "cast": ["Ada Vale", "Noor Khan"],
    "director": "Mira Stone",
    "duration": 5400,
    "rating": "PG",
    "releaseDate": "May 3, 2019",
    "isOriginal": True,
    "isMovie": True,
    "regions": ["Canada"],
}
CHANGES_EXAMPLE: Schema = {"rating": "PG-13", "duration": 5460}


def record(properties: Schema, optional: Iterable[str] = (), **more: Any) -> Schema:
    """An object with these keys and no others."""
    required = [name for name in properties if name not in set(optional)]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
        **more,
    }


def success(data: Schema) -> Schema:
    return record({"status": {"const": "success"}, "data": data})


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def _noted(field: Field, schema: Schema) -> Schema:
    return {**schema, "description": NOTES[field.name]} if field.name in NOTES else schema


def _row() -> Schema:
    properties = {"id": ID, "lastupdated": VERSION}
    for field in FIELDS:
        absent = not field.required and field.empty is None
        properties[field.name] = _noted(field, _nullable(field.schema) if absent else field.schema)
    return record(
        {name: properties[name] for name in COLUMNS},
        optional=["seasons"],
        examples=[build(ID["examples"][0], VERSION["examples"][0], parse_draft(DRAFT_EXAMPLE))],
        **{
            "if": {"properties": {"ismovie": {"const": True}}},
            "then": {"properties": {"seasons": False}},
            "else": {"required": ["seasons"]},
        },
    )


def _settable() -> Schema:
    """Each field in one spelling: generators of clients make an attribute of every property."""
    return {
        field.spelling: _noted(field, field.schema if field.required else _nullable(field.schema))
        for field in FIELDS
    }


_MOVIE_WITH_SEASONS: Schema = {
    "properties": {"isMovie": {"const": True}, "seasons": {"type": "integer"}},
    "required": ["isMovie", "seasons"],
}


def _draft() -> Schema:
    return {
        "type": "object",
        "description": "A new video. Upper and lower case in names make no difference.",
        "properties": _settable(),
        "additionalProperties": False,
        "required": [field.spelling for field in FIELDS if field.required],
        "not": _MOVIE_WITH_SEASONS,
    }


def _changes() -> Schema:
    """Without ``anyOf``, of which generators of clients make a class for every branch."""
    version = {**VERSION, "description": "The version that the row has to have still."}
    return {
        "type": "object",
        "description": "Any subset of the fields, at least one; null clears one. Upper and lower "
        "case in names make no difference. An id has to be the path's.",
        "properties": {"id": UUID, "lastUpdated": version, **_settable()},
        "additionalProperties": False,
        "minProperties": 1,
        "not": _MOVIE_WITH_SEASONS,
    }


def _genre_list() -> Schema:
    ids = {"type": "array", "items": ID, "minItems": 1, "maxItems": GENRE_LIST, "uniqueItems": True}
    return {
        "type": "object",
        "description": "The genre's name, and ids of its videos, newest added first.",
        "propertyNames": GENRE,
        "additionalProperties": ids,
        "minProperties": 1,
        "maxProperties": 1,
        "examples": [{"Drama": ID["examples"]}],
    }


def _readiness(*states: str) -> Schema:
    return record(
        {
            "state": {"enum": list(states)},
            "store": {"enum": ["up", "down"]},
            "redis": {"enum": ["up", "down", "off"]},
            "reason": STRING,
        },
        optional=["reason"],
    )


def schemas() -> dict[str, Schema]:
    return {
        "Row": _row(),
        "Draft": _draft(),
        "Changes": _changes(),
        "GenreList": _genre_list(),
        "Ready": _readiness("ready", "degraded"),
        "NotReady": _readiness("starting", "draining"),
        "Failure": record(
            {
                "status": {"const": "failed"},
                "message": STRING,
                "errors": {
                    "type": "array",
                    "description": "The wrong fields, all at once.",
                    "minItems": 1,
                    "maxItems": ERRORS_MAX,
                    "items": record({"field": STRING, "message": STRING}),
                },
                "more": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "How many more fields are wrong, or were not looked at.",
                },
                "lastupdated": {**VERSION, "description": "The version that the row has now."},
            },
            optional=["errors", "more", "lastupdated"],
        ),
    }
