"""A statement on its way to Cassandra and back."""

import asyncio
import re

from tests.simulation.cql import Plan
from tests.simulation.driver import Result, Statement
from tests.simulation.loop import ProcessLoop


class Request:
    """A statement on its way."""

    __slots__ = ("answer", "back_s", "due_s", "loop", "number", "statement")

    def __init__(
        self,
        loop: ProcessLoop,
        statement: Statement,
        answer: asyncio.Future[Result],
        number: int,
        back_s: float,
    ) -> None:
        self.back_s = back_s
        self.due_s = loop.time() + statement.timeout_s
        self.loop, self.statement, self.answer, self.number = loop, statement, answer, number


def event_of(plan: Plan, statement: Statement, *, is_write: bool) -> str:
    """The kind of a statement, for faults that come after it. A read that a write begins with is a
    "LOOK"."""
    if plan.is_lwt:
        return "LWT"
    if plan.kind == "select":
        if statement.serial:
            return "FIND"
        return "LOOK" if is_write else "READ"
    return "LINE"


def succeed(answer: asyncio.Future[Result], result: Result) -> None:
    if not answer.done():
        answer.set_result(result)


def fail(answer: asyncio.Future[Result], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)


def short(value: object) -> str:
    text = re.sub(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", lambda id_: id_[0][:8], str(value))
    return text if len(text) <= 100 else text[:97] + "..."
