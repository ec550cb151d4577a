"""Nonsense is told from sense: whatever arrives, the answer is one that the contract names.

The service runs as a process of its own, so that what arrives has gone through the real parser.
"""

from typing import Any

import pytest
import schemathesis
from schemathesis.checks import load_all_checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.schemas import BaseSchema

from db.fields import genre_name
from db.version import parse_id
from tests.api.conformance import DOCUMENT
from tests.api.process import GENRES, IDS

NO_SCHEMA_SAYS = {
    "has to be an integer",  # 1.0 is one to JSON Schema
    "is not the id of this row",
    "there is nothing to change",
    "The Idempotency-Key was used with another body",
    "The cursor is damaged, or from elsewhere",
    "videoId or ids is missing",
    "Only one of videoId and ids can be asked for",
}
CHECKS = {
    "ignored_auth": {"enabled": False},  # a token that nobody asks for may be wrong
    "positive_data_acceptance": {
        "expected-statuses": ["2xx", "304", "404", "409", "412", "413"],
    },
}


def schema(examples: int, *, boundaries: bool) -> BaseSchema:
    """The contract, with so many examples of each operation."""
    options = {
        "seed": 1,
        "checks": CHECKS,
        "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
        "phases": {"coverage": {"enabled": boundaries}},
    }
    config = SchemathesisConfig.from_dict(options)
    # it cannot resolve the server ".", and is told another when a case is sent
    document = {**DOCUMENT, "servers": [{"url": "/"}]}
    made: BaseSchema = schemathesis.openapi.from_dict(document, config=config)
    made.hook("filter_failure")(is_defect)
    return made


def is_defect(context: object, failure: Failure, case: object, response: Response) -> bool:
    """Unless it is a refusal for a reason that no schema could have said before."""
    if not isinstance(failure, RejectedPositiveData):
        return True
    envelope = response.json()
    reasons = {error["message"] for error in envelope.get("errors", [])} or {envelope["message"]}
    return not reasons <= NO_SCHEMA_SAYS


def aim(case: Any) -> None:
    """Half of the well-formed names get one that exists, so that handlers are reached."""
    for place in (case.path_parameters, case.query):
        for name in ("id", "videoId", "genre"):
            value = (place or {}).get(name)
            if not isinstance(value, str) or sum(value.encode("utf-8", "replace")) % 2:
                continue
            if name == "genre" and genre_name(value):
                place[name] = GENRES[len(value) % len(GENRES)]
            elif name != "genre" and parse_id(value):
                place[name] = IDS[int(value[0], 16) % len(IDS)]


def labels(*methods: str) -> list[str]:
    return [
        f"{method.upper()} {path}"
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method.upper() in methods
    ]


def hold(schema: BaseSchema, label: str, url: str) -> None:
    """Try one operation. ``schema.parametrize()`` would make the cases in each worker that collects
    tests, and give one id to all operations, of which pytest-xdist then runs the last alone."""

    def answer(case: Any) -> None:
        aim(case)
        case.call_and_validate(base_url=url)

    load_all_checks()
    found = (each.ok() for each in schema.get_all_operations() if isinstance(each, Ok))
    operation = next(each for each in found if each.label == label)
    build_operation_test(
        config=schema.config,
        operation=operation,
        test_func=answer,
        given_kwargs={},
        feedback=FeedbackSources(),
    )()


@pytest.mark.parametrize("label", labels("GET", "DELETE"))
def test_reads_answer_as_the_contract_says(label: str, url: str) -> None:
    hold(schema(20, boundaries=True), label, url)


@pytest.mark.parametrize("label", labels("POST", "PATCH"))
def test_writes_answer_as_the_contract_says(label: str, url: str) -> None:
    """Boundaries of bodies take minutes here; test_openapi.py has them, one by one."""
    hold(schema(60, boundaries=False), label, url)
