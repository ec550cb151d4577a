"""The contract says what the service does: held against the route table and the parser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jsonschema_rs
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

import errors
from api.components import FAILURES, components
from api.openapi import OPERATIONS, contract, path
from api.resource import Resource
from api.schemas import DRAFT_EXAMPLE
from db.fields import DATE_MAX, GENRES_MAX, INT32_MAX, TITLE_MAX
from db.video import apply, build, parse_changes, parse_draft
from middleware.onion import Context
from tests.api.conformance import Api, validator

ID = "8987f37d-2550-4728-b30a-43df5932bcb2"
VERSION = "0811319a-e871-11f1-84d6-c4d8a7597201"


async def test_every_route_and_method_is_in_the_contract_and_nothing_else(
    app: Starlette, api: Api
) -> None:
    served = set()
    for route in app.routes:
        assert isinstance(route, Route)
        assert isinstance(route.endpoint, Resource)
        served |= {(method, route.path) for method in route.endpoint.handlers}
    paths = api.document["paths"]
    documented = {(method.upper(), key) for key, item in paths.items() for method in item}
    assert {(method, path(template)) for method, template in served} == documented
    assert served == set(OPERATIONS)


async def test_every_operation_has_a_summary_and_a_name_of_its_own(api: Api) -> None:
    operations = [one for item in api.document["paths"].values() for one in item.values()]
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_failure_is_in_the_contract_by_its_status() -> None:
    tree = [errors.ServiceError]
    for error in tree:
        tree.extend(error.__subclasses__())
    statuses = [error.status for error in FAILURES]
    assert len(set(statuses)) == len(statuses)
    assert {error.status for error in tree} == {*statuses, 500}


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    if isinstance(node, list):
        for value in node:
            yield from references(value)


async def test_references_lead_somewhere_and_no_component_is_left_over(api: Api) -> None:
    parts = api.document["components"]
    named = {
        f"#/components/{kind}/{name}"
        for kind in parts.keys() - {"securitySchemes"}
        for name in parts[kind]
    }
    used = set(references(api.document))
    assert used <= named
    # 405 is what a path answers to the methods that it does not have
    assert named - used == {"#/components/responses/MethodNotAllowed"}


async def test_schemas_are_valid_and_hold_for_their_own_examples(api: Api) -> None:
    for schema in api.document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)
        for example in schema.get("examples", []):
            validator(api.document, schema).validate(example)


SERIES: dict[str, object] = {"title": "t", "genres": ["a"], "isMovie": False}
GOOD_TITLES = (" a", "\ufeff", "a\n", "\n\na\n\n", "\U0001f3ac", "é" * TITLE_MAX)
BAD_TITLES = ("", " ", "\u2003\x1f\x85", "a\x00", "x" * (TITLE_MAX + 1), None, 1)
BAD_GENRES = ("", ".", "..", "a\n", "\n", "\x9f", "x" * 101, None, ["a"])
NO_GENRES: tuple[object, ...] = ([], None, "a", {}, [str(n) for n in range(GENRES_MAX + 1)])
BAD_NUMBERS: tuple[object, ...] = (-1, INT32_MAX + 1, 2**70, 1.5, "1", True, [])
NO_VIDEOS: tuple[object, ...] = ({}, [], None, "", 0)
DRAFTS: list[tuple[bool, object]] = [
    (True, SERIES),
    (True, {**SERIES, "seasons": 2, "cast": ["b", "b"], "director": None, "regions": None}),
    (True, {"title": "t", "genres": ["Spy/Espionage", "..."], "isMovie": True, "seasons": None}),
    (True, {**SERIES, "genres": [str(n) for n in range(GENRES_MAX)], "duration": INT32_MAX}),
    *((True, {**SERIES, "title": title}) for title in GOOD_TITLES),
    *((False, {**SERIES, "title": title}) for title in BAD_TITLES),
    *((False, {**SERIES, "genres": [genre]}) for genre in BAD_GENRES),
    *((False, {**SERIES, "genres": genres}) for genres in NO_GENRES),
    *((False, {**SERIES, "duration": number}) for number in BAD_NUMBERS),
    *((True, {**SERIES, "releaseDate": date}) for date in ("", "07/03/07", "x" * DATE_MAX, None)),
    *((False, {**SERIES, "releaseDate": date}) for date in (2017, "x" * (DATE_MAX + 1), "\x00")),
    (False, {**SERIES, "isMovie": True, "seasons": 1}),
    (False, {**SERIES, "ismovie": False}),
    (False, {**SERIES, "releaseDate": "1", "releasedate": "1"}),
    *((False, {**SERIES, name: "x"}) for name in ("id", "lastUpdated", "views", "")),
    *((False, {k: v for k, v in SERIES.items() if k != name}) for name in SERIES),
    *((False, body) for body in NO_VIDEOS),
]
CHANGES: list[tuple[bool, object]] = [
    (True, {"title": "t"}),
    (True, {"id": ID, "lastUpdated": VERSION, "rating": None}),
    (True, {"lastUpdated": VERSION, "isMovie": True, "seasons": None}),
    (False, {}),
    (False, {"lastUpdated": VERSION, "lastupdated": VERSION, "title": "t"}),
    (False, {"lastUpdated": ID, "title": "t"}),
    (False, {"lastUpdated": None, "title": "t"}),
    (False, {"id": None, "title": "t"}),
    (False, {"isMovie": True, "seasons": 3}),
    *((False, {name: None}) for name in ("title", "genres", "isMovie", "ismovie")),
    (False, {"genres": []}),
    (False, {"views": 1}),
]


def agree(name: str, parse: Callable[[], object], body: object, valid: bool) -> None:
    schema = {"$ref": f"#/components/schemas/{name}"}
    assert validator({"components": components()}, schema).is_valid(body) is valid
    try:
        parse()
    except errors.Invalid:
        assert not valid
    else:
        assert valid


@pytest.mark.parametrize(("valid", "body"), DRAFTS)
def test_contract_and_parser_agree_on_a_new_video(valid: bool, body: object) -> None:
    agree("Draft", lambda: parse_draft(body), body, valid)


@pytest.mark.parametrize(("valid", "body"), CHANGES)
def test_contract_and_parser_agree_on_changes(valid: bool, body: object) -> None:
    row = build(ID, VERSION, parse_draft(SERIES))
    agree("Changes", lambda: apply(row, parse_changes(body, ID), VERSION), body, valid)


def test_the_parser_is_more_lenient_than_the_contract_where_no_schema_can_follow() -> None:
    parse_draft({"TITLE": "t", "gEnReS": ["a"], "ISMOVIE": True})
    parse_draft({**SERIES, "genres": ["a"] * (GENRES_MAX + 1)})


@pytest.mark.parametrize("body", [{"id": ID}, {"lastUpdated": VERSION}])
def test_the_parser_refuses_changes_of_nothing_which_the_contract_allows(body: object) -> None:
    """A generator of clients makes a class for every branch of a schema that would say so."""
    with pytest.raises(errors.Invalid):
        parse_changes(body, ID).check()


@pytest.mark.parametrize("name", ["Draft", "Changes"])
def test_a_body_has_one_spelling_a_field_and_no_branches(name: str) -> None:
    schema = components()["schemas"][name]
    properties = [key.lower() for key in schema["properties"]]
    assert len(set(properties)) == len(properties)
    assert not {"allOf", "anyOf", "oneOf"} & schema.keys()


def test_a_body_of_all_properties_is_taken_and_null_for_each_that_may_be() -> None:
    """A generated model writes every property, and null for those that nobody has set."""
    parts = components()["schemas"]
    nullable = {
        key: None for key, one in parts["Draft"]["properties"].items() if "null" in one["type"]
    }
    assert nullable.keys() == parts["Draft"]["properties"].keys() - set(parts["Draft"]["required"])
    full: dict[str, object] = {**DRAFT_EXAMPLE, "seasons": None}
    full |= dict.fromkeys(parts["Draft"]["properties"].keys() - full.keys(), "x")
    changes = {"id": ID, "lastUpdated": VERSION}
    for body in (full, full | nullable):
        agree("Draft", partial(parse_draft, body), body, True)
        agree("Changes", partial(parse_changes, body | changes, ID), body | changes, True)
    assert parts["Changes"]["properties"].keys() == full.keys() | changes.keys()


def test_a_route_that_the_table_does_not_know_is_refused() -> None:
    async def handler(ctx: Context) -> None: ...

    with pytest.raises(KeyError, match="/elsewhere"):
        contract([Resource("/elsewhere", GET=handler)])
