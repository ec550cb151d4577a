"""What the judge keeps of a client's operation."""

from dataclasses import dataclass
from typing import Any

import orjson

from cache.reads import Answer

AT_REST = -1
"""The client that looks when everything is over."""


@dataclass
class Write:
    """A client's write. ``before`` is the version that the answer says it replaced; ``status`` is 0
    while the write is under way, -1 if its process died."""

    number: int
    kind: str
    subject: str
    life: int
    sent_s: float
    before: str | None = None
    status: int = 0
    answered_s: float = float("inf")
    place: int = -1


@dataclass
class Read:
    """A read of a row or a list, under way. ``joined_floor`` is the floor of the first reader
    whose load this one may join."""

    subject: str
    client: int
    life: int
    began_s: float
    floor: int
    own_floor: int
    joined_floor: int = 0
    ended_s: float = float("inf")


def told(write: Write) -> str:
    return f"{write.kind} {write.number} of {write.subject[:8]}: {write.status}"


def data_of(answer: Answer) -> Any:
    """The data of an answer; None if there is no row."""
    if answer.entry.status == 404:
        return None
    return orjson.loads(answer.entry.body)["data"]


def layer_of(answer: Answer) -> str:
    """The layer of an answer, as the judge calls it."""
    return "stale redis" if answer.layer == "stale" else answer.layer
