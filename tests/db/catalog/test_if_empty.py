"""``import --if-empty``: an import that was begun is finished, whatever ended it before."""

import gzip
import signal
from pathlib import Path

import pytest

from bench.lab.servers import CassandraNode, settings_of
from tests.db.catalog.command_line import HEADER, Catalog, Ran, line
from tests.http.service import keyspace

ROWS = 8_000
BEFORE = Ran(0, "this catalogue was imported before: nothing imported", "")
OTHERS = Ran(0, "the store has rows already, and none of this catalogue: nothing imported", "")


@pytest.fixture
def path(command: Catalog) -> str:
    return command.file("mine.csv", HEADER, *map(line, range(ROWS)))


def fill(command: Catalog, path: str) -> Ran:
    return command.run("import", path, "--if-empty")


@pytest.mark.parametrize("option", [[], ["--if-empty"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_import_that_was_stopped_is_finished(
    command: Catalog, path: str, option: list[str], number: signal.Signals
) -> None:
    with command.start("import", path, *option) as process:
        command.wait_for_rows(200)
        process.send_signal(number)
        process.communicate(timeout=30)
    assert process.returncode != 0
    there = command.count()
    assert 200 <= there < ROWS
    assert (
        fill(command, path).out == f"added {ROWS - there:,}, already there {there:,}, malformed 0"
    )
    assert fill(command, path) == BEFORE


def test_an_import_that_was_begun_and_stored_nothing_is_finished(command: Catalog) -> None:
    """Stopped before its first row, while rows of others came in between."""
    with command.start("import", "-", "--catalogue", "mine", "--if-empty") as silent:
        assert silent.stdin is not None
        silent.stdin.write(f"{HEADER}\n")
        silent.stdin.flush()
        command.wait_for_note("import of mine")
        silent.kill()
    command.run("generate", "3")
    text = f"{HEADER}\n{line(1)}\n"
    ran = command.run("import", "-", "--catalogue", "mine", "--if-empty", stdin=text)
    assert ran == Ran(0, "added 1, already there 0, malformed 0", "")


def test_a_file_that_is_cut_off_is_no_finished_import(command: Catalog, path: str) -> None:
    whole = gzip.compress(Path(path).read_bytes())
    cut = command.folder / "mine.csv.gz"
    cut.write_bytes(whole[:-20])
    for _ in range(2):
        assert fill(command, str(cut)).status == 1
    cut.write_bytes(whole)
    assert fill(command, str(cut)).status == 0
    assert command.count() == ROWS
    assert fill(command, path) == BEFORE


def test_an_import_with_malformed_lines_is_finished(command: Catalog) -> None:
    path = command.file("mine.csv", HEADER, line(1), line(2, ""))
    assert fill(command, path).status == 2
    assert fill(command, path) == BEFORE


def test_rows_of_others_keep_a_catalogue_out_that_was_never_begun(
    command: Catalog, path: str
) -> None:
    command.run("generate", "3")
    assert fill(command, path) == OTHERS
    assert fill(command, path) == OTHERS  # nothing was begun by that
    assert command.count() == 3
    assert command.run("import", path).status == 0  # asked for without the option, it is
    assert fill(command, path) == BEFORE


def test_two_imports_at_once_are_both_right(command: Catalog, path: str) -> None:
    both = [command.start("import", path, "--if-empty") for _ in range(2)]
    for process in both:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert out.startswith(("added ", "this catalogue was imported before"))
    assert command.count() == ROWS
    assert fill(command, path) == BEFORE


def test_the_notes_are_kept_on_cassandra_too(
    command: Catalog, cassandra_node: CassandraNode
) -> None:
    path = command.file("mine.csv", HEADER, *map(line, range(300)))
    whole = gzip.compress(Path(path).read_bytes())
    cut = command.folder / "mine.csv.gz"
    cut.write_bytes(whole[:-20])
    command.environ.update(settings_of(cassandra_node), CASSANDRA_KEYSPACE=keyspace())
    assert fill(command, str(cut)).status == 1
    assert fill(command, path).status == 0
    assert fill(command, path).out == BEFORE.out
    other = command.run("import", path, "--catalogue", "other", "--if-empty")
    assert (other.status, other.out) == (0, OTHERS.out)
