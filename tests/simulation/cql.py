"""A small interpreter for the CQL that the service prepares, with a timestamp for every cell.

It reads ``db/cassandra/schema.cql`` for the tables, and the prepared texts themselves for what to
do; so a statement that the product adds is understood as long as it keeps to these forms.
Reconciliation is Cassandra's: the latest timestamp wins, and at the same timestamp a deletion wins.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

UNSET: Any = object()
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS \S*?\.?(\w+) \((.*?)\n\)(.*?);", re.S)
_NAME = re.compile(r'"?(\w+)"?')
_WHERE = re.compile(r'(token\()?"?(\w+)"?\)?\s*(>=|<=|=|>|<|IN)\s*(token\()?(\?|[\w.]+|\'[^\']*\')')
_FORMS = re.compile(
    r"(?:(?P<select>SELECT)(?P<json> JSON)?(?P<distinct> DISTINCT)? (?P<columns>.+?) FROM"
    r"|(?P<insert>INSERT) INTO|(?P<update>UPDATE)|(?P<delete>DELETE) FROM) (?P<table>[\w.]+)"
    r"(?: \((?P<names>.+?)\) VALUES \((?P<marks>.+?)\))?"
    r"(?: USING (?P<using>.+?)(?= SET| WHERE|$))?"
    r"(?: SET (?P<set>.+?)(?= WHERE))?"
    r"(?: WHERE (?P<where>.+?)(?= LIMIT| IF|$))?"
    r"(?: LIMIT (?P<limit>\?|\d+))?"
    r"(?P<if_not_exists> IF NOT EXISTS)?(?: IF (?P<condition>.+?))?"
    r"(?: USING (?P<late_using>.+?))?$"
)


class Unsupported(Exception):
    """A statement that the interpreter does not know; teach it."""


@dataclass(frozen=True)
class Table:
    """Names of a table's columns; ``descending``: whether the first clustering column is."""

    name: str
    columns: tuple[str, ...]
    sets: frozenset[str]
    partition: tuple[str, ...]
    clustering: tuple[str, ...]
    descending: bool


@lru_cache(1)
def schema() -> dict[str, Table]:
    """The tables of ``db/cassandra/schema.cql``."""
    text = Path("db/cassandra/schema.cql").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return {name: _table(name, body, rest) for name, body, rest in _TABLE.findall(text)}


def _table(name: str, body: str, rest: str) -> Table:
    columns, sets, key = [], set(), ""
    for line in re.split(r",\n", body):
        words = line.strip()
        if words.startswith("PRIMARY KEY"):
            key = words.removeprefix("PRIMARY KEY").strip()[1:-1]
            continue
        column = _NAME.match(words)
        assert column
        columns.append(column[1])
        if "set<" in words:
            sets.add(column[1])
        if "PRIMARY KEY" in words:
            key = column[1]
    inner = re.match(r"\((.+?)\)(.*)", key)
    partition, clustering = (inner[1], inner[2]) if inner else key.partition(",")[::2]
    return Table(
        name,
        tuple(columns),
        frozenset(sets),
        tuple(re.findall(r"\w+", partition)),
        tuple(re.findall(r"\w+", clustering)),
        " DESC" in rest,
    )


class Slots:
    """Numbers the ``?`` of a statement in the order of their text."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, text: str) -> Any:
        """A slot for ``?``, else the literal."""
        text = text.strip()
        if text == "?":
            self.count += 1
            return Slot(self.count - 1)
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        return int(text) if text.lstrip("-").isdigit() else text.strip("'")


@dataclass(frozen=True)
class Slot:
    """The number of a bound value."""

    number: int


@dataclass(frozen=True)
class Token:
    """The token of a bound partition key."""

    key: Any


@dataclass(frozen=True)
class Union:
    """What is added to a set column: ``column = column + ?``."""

    added: Any


@dataclass
class Plan:
    """A parsed statement. ``tokens`` bound the partition key's token. ``conditions``: columns that
    must equal a value (LWT)."""

    kind: str
    table: Table
    columns: tuple[str, ...] = ()
    is_json: bool = False
    is_distinct: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    where: list[tuple[str, str, Any]] = field(default_factory=list)
    tokens: list[tuple[str, Any]] = field(default_factory=list)
    limit: Any = None
    timestamp: Any = None
    ttl: Any = None
    only_new: bool = False
    conditions: list[tuple[str, Any]] = field(default_factory=list)
    if_exists: bool = False

    @property
    def is_lwt(self) -> bool:
        return self.only_new or self.if_exists or bool(self.conditions)


@lru_cache(256)
def plan_of(cql: str) -> Plan:
    """What a statement says; raises Unsupported."""
    found = _FORMS.fullmatch(" ".join(cql.split()))
    if not found:
        raise Unsupported(cql)
    table = schema().get(found["table"].split(".")[-1])
    if table is None:
        raise Unsupported(cql)
    kind = next(k for k in ("select", "insert", "update", "delete") if found[k])
    plan, slots = Plan(kind, table), Slots()
    if kind == "insert":
        names = _NAME.findall(found["names"])
        plan.values = {
            n: slots.take(m) for n, m in zip(names, found["marks"].split(","), strict=True)
        }
    _using(plan, slots, found["using"])
    for part in (found["set"] or "").split(",") if found["set"] else ():
        name, _, mark = part.partition("=")
        column, _, added = mark.rpartition("+")
        value = slots.take(added)
        plan.values[name.strip().strip('"')] = Union(value) if column else value
    for token, name, sign, of_token, mark in _WHERE.findall(found["where"] or ""):
        value = slots.take(mark)
        if token:
            plan.tokens.append((sign, Token(value) if of_token else value))
        else:
            plan.where.append((name, sign, value))
    plan.limit = slots.take(found["limit"]) if found["limit"] else None
    plan.only_new = bool(found["if_not_exists"])
    _condition(plan, slots, found["condition"])
    _using(plan, slots, found["late_using"])
    plan.is_json, plan.is_distinct = bool(found["json"]), bool(found["distinct"])
    plan.columns = tuple(_NAME.findall(found["columns"] or ""))
    return plan


def _using(plan: Plan, slots: Slots, text: str | None) -> None:
    for part in (text or "").split(" AND ") if text else ():
        word, mark = part.split()
        if word == "TIMESTAMP":
            plan.timestamp = slots.take(mark)
        else:
            plan.ttl = slots.take(mark)


def _condition(plan: Plan, slots: Slots, text: str | None) -> None:
    if text == "EXISTS":
        plan.if_exists = True
    elif text:
        for part in text.split(" AND "):
            name, _, mark = part.partition("=")
            plan.conditions.append((name.strip().strip('"'), slots.take(mark)))


def token_of(key: object) -> int:
    """Where a partition key stands on the ring: another hash than Cassandra's, as good."""
    digest = hashlib.blake2b(str(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def bound(value: Any, values: list[Any]) -> Any:
    """A slot's bound value, or a literal."""
    return values[value.number] if isinstance(value, Slot) else value
