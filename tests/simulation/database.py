"""The tables of the simulated Cassandra, with a timestamp for every cell.

Reconciliation is Cassandra's: the latest timestamp wins, and at the same timestamp a deletion.
"""

import operator
from collections.abc import Callable
from itertools import product
from typing import Any

import orjson

from db.version import version_us
from tests.simulation.cql import UNSET, Plan, Table, Token, Union, bound, schema, token_of
from tests.simulation.driver import Result, Row


class Cells:
    """One row: ``born_us`` of its latest INSERT, ``died_us`` of its latest deletion."""

    __slots__ = ("born_us", "cells", "died_us")

    def __init__(self) -> None:
        self.born_us = self.died_us = -(2**62)
        self.cells: dict[str, tuple[int, Any]] = {}

    def is_there(self) -> bool:
        return self.born_us > self.died_us or any(
            at_us > self.died_us and value is not None for at_us, value in self.cells.values()
        )

    def get(self, column: str) -> Any:
        found = self.cells.get(column)
        return None if found is None or found[0] <= self.died_us else found[1]

    def put(self, column: str, at_us: int, value: Any) -> None:
        found = self.cells.get(column)
        # at the same moment a deletion wins, and else the greater value
        if found is None or (at_us, value is None, str(value)) > (
            found[0],
            found[1] is None,
            str(found[1]),
        ):
            self.cells[column] = (at_us, value)


Key = tuple[Any, ...]
COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


class Database:
    """The tables' contents: partitions by key, each with its rows by clustering key."""

    def __init__(self) -> None:
        self.schema = schema()
        self.tables: dict[str, dict[Key, dict[Key, Cells]]] = {name: {} for name in self.schema}

    def rows(self, table: Table, partition: Key) -> list[tuple[Key, Cells]]:
        """The rows of a partition that are there, in clustering order."""
        found = self.tables[table.name].get(partition)
        if not found:
            return []
        there = [(key, cells) for key, cells in found.items() if cells.is_there()]
        if len(there) > 1:
            there.sort(key=lambda each: _order(each[0], descending=table.descending))
        return there

    def execute(
        self, plan: Plan, values: list[Any], now_us: Callable[[], int]
    ) -> tuple[Result, Cells | None]:
        """The result of a statement, and the row that it changed, if any."""
        if plan.kind == "select":
            return self._select(plan, values), None
        rows = self.tables[plan.table.name].setdefault(partition_of(plan, values), {})
        clustering = clustering_of(plan, values)
        cells = rows.get(clustering)
        if plan.is_lwt and not _holds(plan, cells, values):
            current = [cells.get(name) for name, _ in plan.conditions] if cells else []
            return Result([Row((False, *current))]), None
        if cells is None:
            cells = rows[clustering] = Cells()
        _change(plan, cells, values, bound(plan.timestamp, values) or now_us())
        return Result([Row((True,))]), cells

    def _select(self, plan: Plan, values: list[Any]) -> Result:
        table = plan.table
        found: list[Row] = []
        for partition, clustering, cells in self._found(plan, values):
            row = dict(zip(table.partition + table.clustering, partition + clustering, strict=True))
            for name, (at_us, value) in cells.cells.items():
                if at_us > cells.died_us:
                    row.setdefault(name, value)
            if plan.is_json:
                found.append(Row((render(table, plan.columns, row),)))
            else:
                found.append(Row(row.get(name) for name in plan.columns))
        if plan.is_distinct:
            found = [*dict.fromkeys(found)]
        limit = bound(plan.limit, values)
        return Result(found if limit is None else found[:limit])

    def _found(self, plan: Plan, values: list[Any]) -> list[tuple[Key, Key, Cells]]:
        """The rows that a SELECT names, and those of every partition if it names none."""
        table = plan.table
        among = {
            name: [bound(v, values)] if sign == "=" else bound(v, values)
            for name, sign, v in plan.where
            if sign in ("=", "IN")
        }
        if all(name in among for name in table.partition):
            partitions = [*product(*(among[name] for name in table.partition))]
        else:
            bounds = [(COMPARE[sign], _token(value, values)) for sign, value in plan.tokens]
            placed = sorted((token_of(key[0]), key) for key in self.tables[table.name])
            partitions = [
                key for at, key in placed if all(holds(at, bound) for holds, bound in bounds)
            ]
        rows = [(p, c, cells) for p in partitions for c, cells in self.rows(table, p)]
        rest = [name for name in table.clustering if name in among]
        if rest:
            at = [table.clustering.index(name) for name in rest]
            rows = [
                r for r in rows if all(r[1][i] in among[n] for i, n in zip(at, rest, strict=True))
            ]
        return rows


def _token(value: Any, values: list[Any]) -> int:
    token = token_of(bound(value.key, values)) if isinstance(value, Token) else bound(value, values)
    return int(token)


def _order(key: Key, *, descending: bool) -> tuple[Any, ...]:
    first, *rest = key
    if not descending:
        return (first, *rest)
    return (-version_us(first), *rest)


def partition_of(plan: Plan, values: list[Any]) -> Key:
    return _key(plan, plan.table.partition, values)


def clustering_of(plan: Plan, values: list[Any]) -> Key:
    return _key(plan, plan.table.clustering, values)


def _key(plan: Plan, names: tuple[str, ...], values: list[Any]) -> Key:
    where = {name: value for name, sign, value in plan.where if sign == "="}
    source = plan.values if plan.kind == "insert" else where
    return tuple(bound(source[name], values) for name in names)


def _holds(plan: Plan, cells: Cells | None, values: list[Any]) -> bool:
    is_there = cells is not None and cells.is_there()
    if plan.only_new:
        return not is_there
    if not is_there or cells is None:
        return False
    return all(cells.get(name) == bound(value, values) for name, value in plan.conditions)


def _change(plan: Plan, cells: Cells, values: list[Any], at_us: int) -> None:
    if plan.kind == "delete":
        cells.died_us = max(cells.died_us, at_us)
        return
    if plan.kind == "insert":
        cells.born_us = max(cells.born_us, at_us)
    keys = plan.table.partition + plan.table.clustering
    for name, slot in plan.values.items():
        if isinstance(slot, Union):
            value = sorted({*(cells.get(name) or ()), *bound(slot.added, values)})
        else:
            value = bound(slot, values)
        if name not in keys and value is not UNSET:
            cells.put(name, at_us, value)


def render(table: Table, columns: tuple[str, ...], row: dict[str, Any]) -> str:
    """A row as SELECT JSON gives it: sets sorted, empty ones null."""
    shown = {}
    for column in columns:
        value = row.get(column)
        if column in table.sets:
            value = sorted(value) if value else None
        shown[column] = value
    return orjson.dumps(shown).decode()
