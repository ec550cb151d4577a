"""The contract and the parser agree on every body: fields, limits, patterns, spellings."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import errors
from api import request
from api.home import HOME_GENRES
from cache.keys import IDS_MAX
from db.fields import COLUMNS, DATE_MAX, FIELDS, GENRES_MAX, INT32_MAX, TITLE_MAX, Field, genre_name
from db.store import GENRE_LIST
from db.version import new_id, next_version, parse_id, parse_version
from db.video import apply, build, parse_changes, parse_draft
from tests.api.conformance import DOCUMENT, validator
from tests.middleware.asgi import context

SCHEMAS = DOCUMENT["components"]["schemas"]
PARAMETERS = DOCUMENT["components"]["parameters"]
POST = DOCUMENT["paths"]["/content"]["post"]["requestBody"]["content"]
DRAFT_EXAMPLE = POST["application/json"]["example"]
ID = "8987f37d-2550-4728-b30a-43df5932bcb2"
VERSION = "0811319a-e871-11f1-84d6-c4d8a7597201"


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
    assert validator(SCHEMAS[name]).is_valid(body) is valid
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
    schema = SCHEMAS[name]
    properties = [key.lower() for key in schema["properties"]]
    assert len(set(properties)) == len(properties)
    assert not {"allOf", "anyOf", "oneOf"} & schema.keys()


def test_a_body_of_all_properties_is_taken_and_null_for_each_that_may_be() -> None:
    """A generated model writes every property, and null for each property that is not set."""
    nullable = {
        key: None for key, one in SCHEMAS["Draft"]["properties"].items() if "null" in one["type"]
    }
    assert nullable.keys() == SCHEMAS["Draft"]["properties"].keys() - set(
        SCHEMAS["Draft"]["required"]
    )
    full: dict[str, object] = {**DRAFT_EXAMPLE, "seasons": None}
    full |= dict.fromkeys(SCHEMAS["Draft"]["properties"].keys() - full.keys(), "x")
    changes = {"id": ID, "lastUpdated": VERSION}
    for body in (full, full | nullable):
        agree("Draft", partial(parse_draft, body), body, True)
        agree("Changes", partial(parse_changes, body | changes, ID), body | changes, True)
    assert SCHEMAS["Changes"]["properties"].keys() == full.keys() | changes.keys()


def edges(schema: dict[str, Any]) -> Iterator[tuple[object, bool]]:
    """Yield values at the limits of a field's schema (True) and just beyond (False)."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "string" in kinds:
        least, most = schema.get("minLength", 0), schema["maxLength"]
        yield from (("x" * least, True), ("x" * most, True), ("x" * (most + 1), False))
        yield from [("x" * (least - 1), False)] if least else []
    elif "integer" in kinds:
        yield from ((schema["minimum"], True), (schema["minimum"] - 1, False))
        yield from ((schema["maximum"], True), (schema["maximum"] + 1, False))
    elif "array" in kinds:
        least, most = schema.get("minItems", 0), schema["maxItems"]
        for size, holds in ((least, True), (most, True), (most + 1, False), (least - 1, False)):
            yield from [([str(number) for number in range(size)], holds)] if size >= 0 else []
        yield from (([value], holds) for value, holds in edges(schema["items"]))
    else:
        assert kinds[0] == "boolean"
        yield from ((True, True), (False, True), (1, False))


def accepts(field: Field, value: object) -> bool:
    try:
        field.check(value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_limits_of_a_field_are_those_of_the_parser(field: Field) -> None:
    schema = SCHEMAS["Draft"]["properties"][field.spelling]
    found = list(edges(schema))
    assert {holds for _, holds in found} == {True, False}
    for value, holds in found:
        assert accepts(field, value) is holds
        assert validator(schema).is_valid(value) is holds


@pytest.mark.parametrize("name", ["title", "description", "genres", "cast", "releasedate"])
def test_pattern_of_a_text_allows_the_characters_that_the_parser_allows(name: str) -> None:
    r"""Blanks are those of ``str.strip``; \s of a pattern is another set (ECMA-262)."""
    [field] = [field for field in FIELDS if field.name == name]
    valid = validator(SCHEMAS["Draft"]["properties"][field.spelling]).is_valid
    for number in (*range(0xD800), *range(0xE000, 0x10000), 0x1F3AC, 0x10FFFF):
        for text in (chr(number), f"a{chr(number)}", f"{chr(number)}a"):
            value = [text] if field.is_list else text
            assert valid(value) is accepts(field, value), repr(text)


def test_a_field_has_the_same_schema_wherever_it_is() -> None:
    draft, changes, row = (SCHEMAS[name]["properties"] for name in ("Draft", "Changes", "Video"))
    assert tuple(row) == COLUMNS
    assert tuple(draft) == tuple(field.spelling for field in FIELDS)
    for field in FIELDS:
        null = field.empty is None and not field.required
        one = draft[field.spelling]
        kind = one["type"] if field.required else one["type"][0]
        assert field.required or one["type"] == [kind, "null"]
        assert changes[field.spelling] == one
        assert row[field.name] == {**one, "type": [kind, "null"] if null else kind}
    assert SCHEMAS["Draft"]["required"] == [field.spelling for field in FIELDS if field.required]
    assert SCHEMAS["Video"]["required"] == [name for name in COLUMNS if name != "seasons"]


def test_a_genre_is_described_alike_in_bodies_paths_and_lists() -> None:
    genre = SCHEMAS["Draft"]["properties"]["genres"]["items"]
    assert PARAMETERS["genre"]["schema"] == genre == SCHEMAS["GenreList"]["propertyNames"]
    for text in (".", "..", "..."):
        assert validator(genre).is_valid(text) is (genre_name(text) is not None)


def test_lengths_of_lists_are_those_of_the_service() -> None:
    assert SCHEMAS["GenreList"]["additionalProperties"]["maxItems"] == GENRE_LIST
    assert SCHEMAS["Failure"]["properties"]["errors"]["maxItems"] == errors.ERRORS_MAX
    assert SCHEMAS["Home"]["properties"]["homePage"]["maxItems"] == HOME_GENRES
    assert SCHEMAS["VideoIdsEnvelope"]["properties"]["data"]["maxItems"] == request.PAGE_MAX
    limit = {"minimum": 1, "maximum": request.PAGE_MAX, "default": request.PAGE_DEFAULT}
    assert PARAMETERS["limit"]["schema"] == {"type": "integer", **limit}
    limit = {"minimum": 1, "maximum": request.GENRE_PAGE_MAX, "default": GENRE_LIST}
    assert PARAMETERS["genreLimit"]["schema"] == {"type": "integer", **limit}
    assert SCHEMAS["GenrePage"]["additionalProperties"]["maxItems"] == request.GENRE_PAGE_MAX
    assert f"{{0,{IDS_MAX - 1}}}$" in PARAMETERS["ids"]["schema"]["pattern"]
    assert SCHEMAS["Videos"]["maxProperties"] == IDS_MAX


@pytest.mark.parametrize(
    "key", ["x", "x" * 255, "x" * 256, "a b", "~!", "", "\x7f", "\t", "é", "a\x1fb"]
)
def test_an_idempotency_key_is_described_as_it_is_checked(key: str) -> None:
    valid = validator(PARAMETERS["Idempotency-Key"]["schema"]).is_valid(key)
    try:
        request.idempotency_key(context("POST", {"idempotency-key": key}))
    except errors.Invalid:
        assert not valid
    else:
        assert valid


def test_ids_and_versions_are_described_as_they_are_checked() -> None:
    row = SCHEMAS["Video"]["properties"]
    wrong = ("", ID[:-1], ID + "0", ID.replace("-", "_"), ID.replace("d", "g"))
    for schema, parse, made in (
        (row["id"], parse_id, (ID, new_id(), new_id("key"), VERSION)),
        (row["lastupdated"], parse_version, (VERSION, next_version())),
    ):
        for text in (*made, *wrong, ID, VERSION):
            assert validator(schema).is_valid(text) is (parse(text) is not None), text
