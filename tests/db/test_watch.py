"""The watch on Cassandra goes on whatever a probe raises: it alone ends an outage."""

import asyncio
from typing import Any

import pytest

from config import Config, ConfigError
from db.cassandra import session as cassandra_session
from db.cassandra.limit import Limit
from db.cassandra.session import GONE, Cassandra
from errors import Unavailable
from tests.db.samples import eventually


class Unforeseen(Exception):
    """An error of the driver's that has no meaning here."""


class Statement:
    def __init__(self, name: str) -> None:
        self.name = name

    def set_timeout(self, seconds: float) -> None: ...

    def set_is_idempotent(self, value: bool) -> None: ...

    def bind(self, index: int, value: Any) -> None: ...


class Prepared:
    def __init__(self, name: str) -> None:
        self._cql = name

    def bind(self) -> Statement:
        return Statement(self._cql)


class Result:
    def all(self) -> list[Any]:
        return []

    def first(self) -> Any:
        return self

    def column_value_by_index(self, index: int) -> str:
        return "identity"


class Session:
    """Answers nothing, or fails, at every statement or at some."""

    failure: Exception | None = None
    failing: tuple[str, ...] = ("probe", "note")

    async def execute(self, statement: Statement) -> Result:
        if self.failure is not None and statement.name in self.failing:
            raise self.failure
        return Result()

    async def close(self) -> None: ...


async def test_who_stands_in_line_when_it_goes_away_is_refused_at_once() -> None:
    there: Any = Cassandra(Config(), Limit(1))
    there._session, there._prepared = Session(), {"probe": Prepared("probe")}
    await there.limit.enter(is_urgent=True)
    waiting = asyncio.create_task(there.read("probe"))
    await asyncio.sleep(0)
    there.health.failed(Unavailable())
    there.limit.leave(None)
    with pytest.raises(Unavailable):
        await waiting
    assert there.limit.in_flight == 0


async def test_an_outage_ends_whatever_the_driver_said_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cassandra_session, "WATCH_S", 0.01)
    there: Any = Cassandra(Config())
    session = Session()

    async def connect() -> None:
        there._session, there._identity = session, "identity"
        there._prepared = {name: Prepared(name) for name in ("probe", "note")}

    monkeypatch.setattr(there, "_connect", connect)

    async def turned(state: str) -> bool:
        return bool(there.health.state[0] == state)

    await there.open()
    for failure in (
        None,
        RuntimeError(),
        Unforeseen(),
    ):
        session.failure = failure
        await eventually(lambda: turned("down" if session.failure else "up"))
        await asyncio.sleep(0.15)  # a probe or more
    assert there.health.state == ("down", "Unforeseen")
    session.failure = None
    await eventually(lambda: turned("up"))
    await there.close()


async def test_tables_that_cannot_be_had_degrade_a_store_that_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cassandra_session, "WATCH_S", 0.01)
    monkeypatch.setattr(cassandra_session, "RENEW_S", 0.5)
    there: Any = Cassandra(Config())
    there._prepared = {name: Prepared(name) for name in ("probe", "note")}
    there._session = session = Session()
    there._identity = "identity"
    session.failure, session.failing = GONE[0]("no such table"), ("note",)
    renewals = 0

    async def connect() -> None:
        nonlocal renewals
        renewals += 1
        raise ConfigError("may not make a keyspace")

    monkeypatch.setattr(there, "_connect", connect)
    watching = asyncio.create_task(there._live())

    async def is_renewed() -> bool:
        return renewals > 0

    await eventually(is_renewed)
    assert there.health.state[0] == "degraded"
    assert not there.health.is_down
    assert renewals == 1
    there._closing.set()
    await watching
