"""The contract, OpenAPI 3.1: made from the route table, the handlers and what validates.

What a handler cannot tell, its parameters and answers, is one table here. ``contract`` refuses a
route that the table does not know; a test refuses a line of the table that has no route.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from api.components import FAILURES, components, ref
from api.resource import PATCH_TYPES, Resource
from api.schemas import CHANGES_EXAMPLE, DRAFT_EXAMPLE
from middleware.onion import Handler

VERSION = "1.0.0"
ABOUT = """\
Metadata of videos: what a hover over a thumbnail and a click to watch have to know.

* Every answer in JSON is an envelope: `{"status": "success", "data": ...}`, or
  `{"status": "failed", "message": ...}`. What the server itself refuses (400, 408, 414, 431,
  501, 503) and what nobody foresaw (500) has the same envelope.
* Every GET may be a HEAD. OPTIONS answers 204 with `Allow`, another method 405 with `Allow`.
* A row's `ETag` serves `If-None-Match` and `If-Match` alike.
* Numbers in bodies are written without a fraction. Lists are sets: they come back sorted, and
  duplicates merge.
"""
TAGS = {
    "Content": "Videos and lists of them.",
    "Probes": "For operators.",
    "Docs": "This contract, and a page to read and try it.",
}
_CODE = {error.status: error.__name__ for error in FAILURES}
_IF = ("If-Match", "If-None-Match")
_READ = (503, 504)
_WRITE = (401, 403, 503, 504)
_BODY = (400, 413, 415, 422)


class Operation(NamedTuple):
    """What a handler cannot tell: ``answers`` name components by status, ``failures`` are statuses
    of ``errors``, ``body`` is a schema's name and an example."""

    answers: Mapping[int, str]
    parameters: tuple[str, ...] = ()
    failures: tuple[int, ...] = ()
    body: tuple[str, dict[str, Any]] | None = None
    guarded: bool = False
    note: str = ""


OPERATIONS: dict[tuple[str, str], Operation] = {
    ("GET", "/content/genre/{genre:path}"): Operation(
        {200: "Genre", 304: "NotModified"}, ("genre", *_IF), (404, 412, *_READ)
    ),
    ("GET", "/content/{id}"): Operation(
        {200: "Row", 304: "NotModified"}, ("id", *_IF), (404, 412, *_READ)
    ),
    ("PATCH", "/content/{id}"): Operation(
        {200: "Written"},
        ("id", *_IF),
        (404, 409, 412, *_BODY, *_WRITE),
        body=("Changes", CHANGES_EXAMPLE),
        guarded=True,
        note="`If-Match`, or `lastUpdated` in the body, makes it conditional; both have to hold.",
    ),
    ("DELETE", "/content/{id}"): Operation(
        {200: "Deleted"},
        ("id", *_IF),
        (404, 409, 412, *_WRITE),
        guarded=True,
    ),
    ("GET", "/content"): Operation(
        {200: "Row", 304: "NotModified"}, ("videoId", *_IF), (400, 404, 412, *_READ)
    ),
    ("POST", "/content"): Operation(
        {201: "Created"},
        ("Idempotency-Key",),
        (412, *_BODY, *_WRITE),
        body=("Draft", DRAFT_EXAMPLE),
        guarded=True,
        note="A retry with the same `Idempotency-Key` and the same body finds the row that the "
        "first one made; with another body it is a 422.",
    ),
    ("GET", "/home"): Operation({200: "Home"}, (), _READ),
    ("GET", "/videos"): Operation({200: "Id"}, (), (404, *_READ)),
    ("GET", "/uuids"): Operation(
        {200: "Ids", 304: "NotModified"}, ("limit", "cursor", *_IF), (400, 412, *_READ)
    ),
    ("GET", "/"): Operation({200: "Welcome"}),
    ("GET", "/healthz"): Operation({200: "Alive"}),
    ("GET", "/readyz"): Operation({200: "Ready", 503: "NotReady"}),
    ("GET", "/metrics"): Operation({200: "Metrics"}),
    ("GET", "/openapi.json"): Operation({200: "Contract", 304: "Unchanged"}, _IF, (412,)),
    ("GET", "/docs"): Operation({200: "Page", 304: "Unchanged"}, _IF, (412,)),
    ("GET", "/docs/{asset}"): Operation(
        {200: "Asset", 304: "Unchanged"}, ("asset", *_IF), (404, 412)
    ),
}


def contract(resources: Iterable[Resource]) -> dict[str, Any]:
    """The document for these resources. Raises KeyError for one that OPERATIONS lacks."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Content", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "."}],  # of the document's address: behind a path prefix too
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": {path(resource.template): _path_item(resource) for resource in resources},
        "components": components(),
    }


def path(template: str) -> str:
    """A route's template as OpenAPI spells it: without converters."""
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", template)


def _path_item(resource: Resource) -> dict[str, Any]:
    return {
        method.lower(): _operation(handler, OPERATIONS[method, resource.template])
        for method, handler in resource.handlers.items()
    }


def _operation(handler: Handler, operation: Operation) -> dict[str, Any]:
    owner, name = handler.__qualname__.rsplit(".", 1)
    names = {**operation.answers, **{status: _CODE[status] for status in operation.failures}}
    described: dict[str, Any] = {
        "operationId": name,
        "tags": [owner],
        "summary": (inspect.getdoc(handler) or "").split("\n")[0].rstrip("."),
        "responses": {str(status): ref("responses", names[status]) for status in sorted(names)},
    }
    if operation.note:
        described["description"] = operation.note
    if operation.parameters:
        described["parameters"] = [ref("parameters", name) for name in operation.parameters]
    if operation.body:
        types = PATCH_TYPES if operation.body[0] == "Changes" else PATCH_TYPES[:1]
        described["requestBody"] = _body(*operation.body, types)
    if operation.guarded:
        described["security"] = [{}, {"bearer": []}]
    return described


def _body(schema: str, example: dict[str, Any], types: Iterable[str]) -> dict[str, Any]:
    content = {"schema": ref("schemas", schema), "example": example}
    return {"required": True, "content": dict.fromkeys(types, content)}
