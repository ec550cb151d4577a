"""The parts that operations of the contract share: parameters, headers and answers, by name.

An answer to a failure is made from its exception class; bounds come from where they are checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.home import HOME_GENRES
from api.request import PAGE_DEFAULT, PAGE_MAX
from api.schemas import ID, STRING, UUID, Schema, record, schemas, success
from db.fields import GENRE
from errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    Late,
    MethodNotAllowed,
    NotFound,
    PreconditionFailed,
    ServiceError,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

FAILURES: dict[type[ServiceError], tuple[str, ...]] = {
    BadRequest: (),
    Unauthorized: ("WWW-Authenticate",),
    Forbidden: (),
    NotFound: (),
    MethodNotAllowed: ("Allow",),
    Conflict: ("Retry-After",),
    PreconditionFailed: ("ETag",),
    TooLarge: (),
    UnsupportedMediaType: ("Accept-Patch",),
    Invalid: (),
    Unavailable: ("Retry-After", "X-Request-Id"),
    Late: ("X-Request-Id",),
}
"""Each class of failure with the headers of its own."""

ALWAYS = ("Cache-Control", "Server-Timing")
CACHED = ("ETag", "Cache-Status")
STATIC = ("ETag", "Vary", "X-Content-Type-Options")
_OPTIONAL = {"Accept-Patch", "Age", "Content-Encoding", "Link"}
_HEADERS = {
    "Accept-Patch": "The media types of a PATCH, if the request was one.",
    "Age": "Seconds since a cache was filled with this answer; absent when it is fresh.",
    "Allow": "Every method of the path.",
    "Cache-Control": "Who may keep the answer, and how long.",
    "Cache-Status": "Which layer had the data (RFC 9211): near, redis or store.",
    "Content-Encoding": "gzip, when the client accepts it.",
    "Content-Security-Policy": "The page loads nothing from elsewhere.",
    "ETag": "A strong tag: for If-None-Match, and of a row for If-Match too.",
    "Link": 'The next page, rel="next"; relative to the request. Absent on the last page.',
    "Location": "The new row; relative to the request.",
    "Retry-After": "Seconds to wait before another try.",
    "Server-Timing": "Milliseconds that the service took.",
    "Vary": "The representation depends on Accept-Encoding.",
    "WWW-Authenticate": "Bearer.",
    "X-Content-Type-Options": "nosniff.",
    "X-Request-Id": "Names the line in the service's log.",
}


def ref(kind: str, name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def _headers() -> dict[str, Any]:
    return {
        name: {"description": text, "required": name not in _OPTIONAL, "schema": STRING}
        for name, text in _HEADERS.items()
    }


def _parameter(place: str, name: str, schema: Schema, text: str, **more: Any) -> dict[str, Any]:
    required = {"required": True} if place == "path" else {}
    described = {"name": name, "in": place, "description": text, "schema": schema}
    return {**described, **required, **more}


def _parameters() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT}
    # blanks at the ends of a header's value are not part of it
    key = {**STRING, "maxLength": 255, "pattern": r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$"}
    all_of = [
        _parameter("path", "id", UUID, "In any case; what is no UUID names nothing."),
        _parameter("path", "genre", GENRE, "A slash in the name is sent as %2F."),
        _parameter("path", "asset", STRING, "A file of the page."),
        _parameter("query", "videoId", UUID, "May stand in quotes.", required=True),
        _parameter("query", "limit", limit, "How many ids a page has at most."),
        _parameter("query", "cursor", STRING, "Where to go on: out of Link, and opaque."),
        _parameter(
            "header",
            "If-None-Match",
            STRING,
            "Tags that the caller has. If one is current: 304, of a write 412.",
        ),
        _parameter("header", "If-Match", STRING, "Tags that the row has to have still, or *."),
        _parameter("header", "Idempotency-Key", key, "Makes a retry find the row made before."),
    ]
    return {parameter["name"]: parameter for parameter in all_of}


def _answer(
    text: str, schema: Schema | None = None, headers: Iterable[str] = (), media: str = ""
) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": text}
    answer["headers"] = {name: ref("headers", name) for name in sorted({*ALWAYS, *headers})}
    if schema is not None:
        answer["content"] = {media or "application/json": {"schema": schema}}
    return answer


def _of_content() -> dict[str, Any]:
    row = success(ref("schemas", "Row"))
    ids = {"type": "array", "items": ID, "maxItems": PAGE_MAX, "uniqueItems": True}
    lines = {"type": "array", "items": ref("schemas", "GenreList"), "maxItems": HOME_GENRES}
    return {
        "Welcome": _answer(
            "The service's name.", record({"status": {"const": "success"}, "message": STRING})
        ),
        "Row": _answer("The row.", row, (*CACHED, "Age")),
        "Created": _answer("The row as it is stored.", row, ("ETag", "Location")),
        "Written": _answer("The row as it is now.", row, ("ETag",)),
        "Deleted": _answer("The row is gone.", success(record({"id": ID}))),
        "Genre": _answer(
            "Its newest videos.", success(ref("schemas", "GenreList")), (*CACHED, "Age")
        ),
        "Home": _answer("Genres and their newest.", success(record({"homePage": lines}))),
        "Id": _answer("An id.", success(ID)),
        "Ids": _answer("A page of ids.", success(ids), (*CACHED, "Age", "Link")),
        "NotModified": _answer("The caller has the current bytes.", None, (*CACHED, "Age", "Link")),
    }


def _of_operations() -> dict[str, Any]:
    alive = record({"status": {"const": "success"}})
    failed = record(
        {"status": {"const": "failed"}, "message": STRING, "data": ref("schemas", "NotReady")}
    )
    static = (*STATIC, "Content-Encoding")
    page = (*static, "Content-Security-Policy")
    return {
        "Alive": _answer("It is.", alive),
        "Ready": _answer("It can serve.", success(ref("schemas", "Ready"))),
        "NotReady": _answer("It could not serve yet.", failed, ("Retry-After",)),
        "Metrics": _answer("Samples.", STRING, media=CONTENT_TYPE_LATEST),
        "Contract": _answer("This document.", {"type": "object"}, ("ETag",)),
        "Page": _answer("The page.", STRING, page, media="text/html"),
        "Asset": _answer("The file.", {}, static, media="*/*"),
        "Unchanged": _answer("The caller has the current bytes.", None, ("ETag",)),
    }


def _of_failures() -> dict[str, Any]:
    answers = {}
    for error, headers in FAILURES.items():
        answer = _answer(f"{error.message}.", ref("schemas", "Failure"), headers)
        example = {"status": "failed", "message": error.message}
        answer["content"]["application/json"]["example"] = example
        answers[error.__name__] = answer
    return answers


def components() -> dict[str, Any]:
    """Everything that operations refer to."""
    return {
        "schemas": schemas(),
        "parameters": _parameters(),
        "headers": _headers(),
        "responses": {**_of_content(), **_of_operations(), **_of_failures()},
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "Writes need it when the service has a WRITE_TOKEN.",
            }
        },
    }
