"""Which statements are sent again after an error, and how often."""

from typing import Any, Self

import pytest
from acsylla import errors as driver

from config import Config
from db.cassandra.statements import CQL, Statements
from errors import Late, Unavailable


class Noted:
    """A prepared statement and its bound one, which note what the driver is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def bind(self, **_: Any) -> Self:
        return self

    def set_is_idempotent(self, value: bool) -> None:
        self.told.append(value)

    def set_retry_policy(self, policy: str) -> None:
        self.told.append(policy)

    def set_timeout(self, seconds: float) -> None: ...


class Failing:
    """A session whose every read fails, as behind too many tombstones."""

    def __init__(self) -> None:
        self.asked = 0

    async def execute(self, statement: object) -> None:
        self.asked += 1
        raise driver.CassErrorServerReadFailure("tombstones")


@pytest.mark.parametrize("name", CQL)
async def test_the_driver_sends_no_transaction_again(name: str) -> None:
    """It would send one to the next node that was accepted and has no nodes for its commit."""
    statements, noted = Statements(Config(), None), Noted()
    statements._prepared = {name: noted}
    statements._session = Failing()
    with pytest.raises(Late):
        await statements._run(name, (), 0.0)
    is_read = CQL[name].startswith("SELECT")
    assert noted.told == [is_read, *(["fallthrough"] if " IF " in CQL[name] else [])]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("update_row", "Cannot achieve consistency level LOCAL_QUORUM", Late),
        ("update_row", "Query timed out before it could start", Unavailable),
        ("end_life", "Cannot achieve consistency level LOCAL_QUORUM", Unavailable),
    ],
)
def test_a_transaction_that_has_begun_may_hold(
    name: str, text: str, expected: type[Exception]
) -> None:
    statements = Statements(Config(), None)
    error = statements._refused(name, "writes", driver.CassErrorServerOverloaded(text))
    assert type(error) is expected


async def test_a_read_that_fails_again_and_again_is_asked_ever_less_often() -> None:
    statements, session = Statements(Config(), None), Failing()
    statements._prepared = {"genres": Noted()}
    statements._session = session
    with pytest.raises(Late):
        await statements._run("genres", (), 0.5)
    assert 2 <= session.asked <= 5
