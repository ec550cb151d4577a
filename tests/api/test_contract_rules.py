"""The contract keeps the rules of a linter, so that people and generators of clients can use it.

PyPI has no linter of OpenAPI 3.1 that works without Java or node. These rules are those of the
recommended sets of Spectral and Redocly, held here, and a few that generators of clients need. Left
out of those sets: a contact, because the project has none, and a description of each operation
beside its summary. Redocly also refuses the example of ``Video`` and calls the two answers of
getVideos alike. It is wrong, because other tests validate both.
"""

import csv
import gzip
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from db.catalog.formats import Catalogue, from_record
from tests.api.conformance import COMPONENTS, DOCUMENT, operations, resolve, validator

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = COMPONENTS["schemas"]
PARAMETERS = COMPONENTS["parameters"]
NEVER_REFUSED = {"getHome", "getWelcome", "getLiveness", "getReadiness", "getMetrics"}
"""No input of these operations can be wrong, so the service itself never answers 4xx."""
NO_ENVELOPE = {"NotReady"}
"""The failure of a probe, which has the states of the service instead."""
ID = PARAMETERS["id"]["example"]


def media_types() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each media type of a body or an answer with its content."""
    for operation in operations():
        for content in [operation.get("requestBody", {}), *operation["responses"].values()]:
            yield from resolve(content).get("content", {}).items()


def inner(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the schemas of the fields and elements inside of ``schema``."""
    found = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("anyOf")]
    for each in [*found, schema.get("additionalProperties")]:
        if isinstance(each, dict):
            yield each
            yield from inner(each)


def test_document_is_openapi() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_licence_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert DOCUMENT["info"]["license"]["identifier"] == project["license"]
    assert DOCUMENT["info"]["description"]


def test_an_operation_is_named_by_a_verb_and_a_noun() -> None:
    for operation in operations():
        assert re.fullmatch("(get|create|update|delete)([A-Z][a-z]+)+", operation["operationId"])
        assert re.fullmatch(r"[A-Z].*[^.]", operation["summary"])


def test_an_operation_has_one_tag_and_each_tag_is_described_and_used() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert all(len(operation["tags"]) == 1 for operation in operations())
    assert {operation["tags"][0] for operation in operations()} == tags


def test_an_operation_says_how_it_succeeds_and_fails() -> None:
    failure = {"$ref": "#/components/schemas/Failure"}
    for operation in operations():
        classes = {status[0] for status in operation["responses"]}
        assert "2" in classes
        assert ("4" in classes) is (operation["operationId"] not in NEVER_REFUSED)
        for status, answer in operation["responses"].items():
            name = answer["$ref"].rpartition("/")[2]
            if status[0] in "45" and name not in NO_ENVELOPE:
                assert resolve(answer)["content"]["application/json"]["schema"] == failure


def test_every_body_and_answer_in_json_is_a_schema_with_a_name() -> None:
    """An anonymous schema gets a name of the generator's making, another one in each operation."""
    for media, content in media_types():
        if media.startswith("application/"):
            choices = content["schema"].get("oneOf", [content["schema"]])
            assert all(choice.keys() == {"$ref"} for choice in choices), content
    for name, schema in SCHEMAS.items():
        for each in inner(schema):
            assert each.get("type") != "object", name
            assert "properties" not in each, name


@pytest.mark.parametrize("kind", ["schemas", "parameters", "responses", "headers"])
def test_every_component_is_described(kind: str) -> None:
    for name, component in COMPONENTS[kind].items():
        assert component.get("description"), name


def test_parameters_are_shared_and_their_names_are_unique_in_an_operation() -> None:
    for operation in operations():
        given = operation.get("parameters", [])
        assert all(each.keys() == {"$ref"} for each in given)
        names = [(resolve(each)["in"], resolve(each)["name"]) for each in given]
        assert len(set(names)) == len(names)


def test_what_a_store_may_delay_has_an_id_and_a_read_of_it_a_priority() -> None:
    late = {"$ref": "#/components/responses/Late"}
    taken = [{"$ref": f"#/components/parameters/{name}"} for name in ("X-Request-Id", "Priority")]
    for item in DOCUMENT["paths"].values():
        for method, operation in item.items():
            is_late = late in operation["responses"].values()
            takes = [each in operation.get("parameters", []) for each in taken]
            assert takes == [is_late, is_late and method == "get"]


def test_every_answer_may_have_the_id_of_its_request() -> None:
    assert all("X-Request-Id" in answer["headers"] for answer in COMPONENTS["responses"].values())


def test_every_example_is_valid() -> None:
    for parameter in PARAMETERS.values():
        if "example" in parameter:
            validator(parameter["schema"]).validate(parameter["example"])
    for _, content in media_types():
        if "example" in content:
            validator(content["schema"]).validate(content["example"])


def test_every_parameter_that_is_required_has_an_example() -> None:
    for name, parameter in PARAMETERS.items():
        assert "example" in parameter or not parameter.get("required"), name


def test_examples_name_a_row_of_the_catalogue_that_make_run_imports() -> None:
    file = "data/netflix_titles.csv.gz"
    assert f"db.catalog import {file}" in (ROOT / "Makefile").read_text()
    catalogue = Catalogue("netflix_titles", datetime.now(UTC).date())
    with gzip.open(ROOT / file, "rt", encoding="utf-8", newline="") as text:
        rows = (from_record(record, catalogue).row for record in csv.DictReader(text))
        found = {row["id"]: row for row in rows}
    assert SCHEMAS["Video"]["examples"] == [found[ID]]
    assert PARAMETERS["genre"]["example"] in found[ID]["genres"]
    assert set(PARAMETERS["ids"]["example"].split(",")) <= found.keys()
    draft = DOCUMENT["paths"]["/content"]["post"]["requestBody"]["content"]["application/json"]
    genres = {genre for row in found.values() for genre in row["genres"]}
    assert set(draft["example"]["genres"]) <= genres
