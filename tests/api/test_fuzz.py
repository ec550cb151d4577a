"""Nonsense is told from sense: whatever arrives, the answer is one that the contract names.

The service runs as a process of its own, so that what arrives has gone through the real parser.
"""

from collections.abc import Callable
from typing import Any

import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import RejectedPositiveData

from db.fields import genre_name
from db.version import parse_id
from tests.api.conformance import DOCUMENT
from tests.api.process import GENRES, IDS

Decorator = Callable[[Callable[..., None]], Callable[..., None]]
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


def operations(methods: list[str], examples: int, *, boundaries: bool) -> Decorator:
    """Runs a test over the operations with these methods, each with so many examples."""
    options = {
        "seed": 1,
        "checks": CHECKS,
        "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
        "phases": {"coverage": {"enabled": boundaries}},
    }
    config = SchemathesisConfig.from_dict(options)
    # it cannot resolve the server ".", and is told another when a case is sent
    document = {**DOCUMENT, "servers": [{"url": "/"}]}
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.hook("filter_failure")(is_defect)
    decorator: Decorator = schema.include(method=methods).parametrize()
    return decorator


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


reads = operations(["GET", "DELETE"], 20, boundaries=True)
# boundaries of bodies take minutes here; test_openapi.py has them, one by one
writes = operations(["POST", "PATCH"], 60, boundaries=False)


@reads
def test_reads_answer_as_the_contract_says(case: Any, url: str) -> None:
    aim(case)
    case.call_and_validate(base_url=url)


@writes
def test_writes_answer_as_the_contract_says(case: Any, url: str) -> None:
    aim(case)
    case.call_and_validate(base_url=url)
