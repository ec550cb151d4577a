"""What the judge keeps of a client's operation."""

from __future__ import annotations

from dataclasses import dataclass

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
