"""The contract is a sound document, and names the routes and the failures of the service."""

import json
from collections.abc import Iterator

import jsonschema_rs
from starlette.applications import Starlette
from starlette.routing import Route

import errors
from api.resource import CONTRACT, PATCH_TYPES, Resource
from config import VERSION
from tests.api.conformance import COMPONENTS, DOCUMENT, operations, path, resolve, validator


def failures() -> dict[str, type[errors.ServiceError]]:
    """Each class of failure with a status of its own, by its name."""
    tree = [errors.ServiceError]
    for error in tree:
        tree.extend(error.__subclasses__())
    return {error.__name__: error for error in tree if "status" in vars(error)}


def test_every_route_and_method_is_in_the_contract_and_nothing_else(app: Starlette) -> None:
    served = set()
    for route in app.routes:
        assert isinstance(route, Route)
        assert isinstance(route.endpoint, Resource)
        served |= {(method, path(route.path)) for method in route.endpoint.handlers}
    paths = DOCUMENT["paths"]
    assert {(method.upper(), key) for key, item in paths.items() for method in item} == served


def test_no_key_is_there_twice() -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        assert len(found) == len(pairs), [key for key, _ in pairs]
        return found

    json.loads(CONTRACT.read_bytes(), object_pairs_hook=once)


def test_version_is_that_of_the_project() -> None:
    assert DOCUMENT["info"]["version"] == VERSION


def test_every_operation_has_a_summary_and_a_name_of_its_own() -> None:
    assert all(operation["summary"] for operation in operations())
    names = [operation["operationId"] for operation in operations()]
    assert len(set(names)) == len(names)


def test_every_parameter_of_a_path_is_described() -> None:
    for key, item in DOCUMENT["paths"].items():
        for operation in item.values():
            given = [resolve(each) for each in operation.get("parameters", [])]
            named = {each["name"] for each in given if each["in"] == "path"}
            assert {f"{{{name}}}" for name in named} == {s for s in key.split("/") if s[:1] == "{"}


def test_every_failure_is_in_the_contract_by_its_status_text_and_headers() -> None:
    known = failures()
    assert known.pop("ServiceError").status == 500
    promised = {name: COMPONENTS["responses"][name] for name in known}
    assert len({error.status for error in known.values()}) == len(known)
    for name, error in known.items():
        assert promised[name]["description"] == f"{error.message}."
        example = promised[name]["content"]["application/json"]["example"]
        assert example == {"status": "failed", "message": error.message}
    sent: list[errors.ServiceError] = [
        errors.Unauthorized(),
        errors.MethodNotAllowed(headers={"Allow": "GET"}),
        errors.Conflict(),
        errors.PreconditionFailed(None, "x"),
        errors.Unavailable(),
    ]
    for failure in sent:
        assert failure.headers
        assert failure.headers.keys() <= promised[type(failure).__name__]["headers"].keys()


def test_a_status_always_names_the_failure_that_has_it() -> None:
    by_status = {str(error.status): name for name, error in failures().items()}
    for operation in operations():
        for status, answer in operation["responses"].items():
            name = answer["$ref"].removeprefix("#/components/responses/")
            if status >= "400" and name != "NotReady":
                assert by_status[status] == name


def test_writes_and_their_media_types_are_those_of_the_service() -> None:
    for method, types in (("post", PATCH_TYPES[:1]), ("patch", PATCH_TYPES)):
        [body] = [
            item[method]["requestBody"] for item in DOCUMENT["paths"].values() if method in item
        ]
        assert tuple(body["content"]) == types
    for item in DOCUMENT["paths"].values():
        for method, operation in item.items():
            assert ("security" in operation) is (method != "get")


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    if isinstance(node, list):
        for value in node:
            yield from references(value)


def test_references_lead_somewhere_and_no_component_is_left_over() -> None:
    named = {
        f"#/components/{kind}/{name}"
        for kind in COMPONENTS.keys() - {"securitySchemes"}
        for name in COMPONENTS[kind]
    }
    used = set(references(DOCUMENT))
    assert used <= named
    # 405 is what a path answers to the methods that it does not have
    assert named - used == {"#/components/responses/MethodNotAllowed"}


def test_schemas_are_valid_and_hold_for_their_own_examples() -> None:
    for schema in COMPONENTS["schemas"].values():
        jsonschema_rs.meta.validate(schema)
        for example in schema.get("examples", []):
            validator(schema).validate(example)
