"""What the service sees of its Cassandra driver: statements, results and rows."""

from typing import Any

from acsylla import Consistency

from tests.simulation.cql import UNSET, Plan, plan_of


class Row(tuple[Any, ...]):
    """One row of a result, as the driver hands it out."""

    def column_value_by_index(self, index: int) -> Any:
        return self[index]

    def column_value(self, name: str) -> Any:
        return self[0]

    def as_tuple(self) -> tuple[Any, ...]:
        return tuple(self)


class Result(list[Row]):
    """The rows of an answer."""

    def first(self) -> Row | None:
        return self[0] if self else None

    def all(self) -> list[Row]:
        return self

    def count(self) -> int:  # type: ignore[override]
        return len(self)

    def has_more_pages(self) -> bool:
        return False


class Statement:
    """A bound statement."""

    __slots__ = ("plan", "serial", "timeout_s", "values")

    def __init__(self, plan: Plan | None, count: int) -> None:
        self.plan = plan
        self.values: list[Any] = [UNSET] * count
        self.serial = False
        self.timeout_s = 1.0

    def bind(self, index: int, value: Any) -> None:
        self.values[index] = value

    def set_consistency(self, consistency: Any) -> None:
        self.serial = consistency is Consistency.LOCAL_SERIAL

    def set_is_idempotent(self, value: bool) -> None:
        pass

    def set_retry_policy(self, policy: str) -> None:
        pass

    def set_timeout(self, seconds: float) -> None:
        self.timeout_s = seconds


class Prepared:
    """A prepared statement; statements on system tables have no plan."""

    def __init__(self, cql: str) -> None:
        self._plan = None if " system." in cql else plan_of(cql)
        self._count = cql.count("?")

    def bind(self, **_paging: Any) -> Statement:
        return Statement(self._plan, self._count)
