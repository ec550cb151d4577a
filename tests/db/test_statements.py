"""The files of statements: each statement has a name, and each name is used."""

from pathlib import Path

import pytest

from db.cassandra.statements import CQL
from db.embedded import SQL
from db.fields import COLUMNS
from db.store import statements_of
from tests.test_imports import ROOT


@pytest.mark.parametrize(
    ("statements", "sources"),
    [(CQL, "db/cassandra/*.py"), (SQL, "db/embedded.py")],
    ids=["cassandra", "embedded"],
)
def test_every_statement_is_used(statements: dict[str, str], sources: str) -> None:
    text = "".join(path.read_text() for path in ROOT.glob(sources))
    assert [name for name in statements if f'"{name}"' not in text] == []


@pytest.mark.parametrize(
    "file", ["cassandra/statements.cql", "cassandra/schema.cql", "cassandra/login.cql"]
)
def test_every_statement_of_a_file_has_a_name(file: str) -> None:
    path = ROOT / "db" / file
    lines = [line for line in path.read_text().splitlines() if not line.startswith("--")]
    assert path.read_text().count("-- name: ") == "".join(lines).count(";")


def test_a_row_is_read_and_written_in_the_order_of_its_columns() -> None:
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    assert CQL["read_row"] == f"SELECT JSON {names} FROM video WHERE id = ?"
    assert CQL["create_row"].count("?") == len(COLUMNS) + 3
    assert CQL["load_row"].count("?") == len(COLUMNS) + 4
    assert CQL["update_row"].count("?") == len(COLUMNS) + 2


def test_a_value_may_have_semicolons_and_blanks(tmp_path: Path) -> None:
    file = tmp_path / "file.cql"
    file.write_text("-- A comment.\n-- name: role\nALTER ROLE a\n  WITH PASSWORD = $password;\n")
    password = "'a;  b'"
    made = statements_of(file, password=password)
    assert made == {"role": f"ALTER ROLE a WITH PASSWORD = {password}"}
