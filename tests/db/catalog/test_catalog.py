"""The command line and its exit statuses, over an embedded store."""

import asyncio
import gzip
import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from config import Config
from db.catalog import __main__ as catalog
from db.catalog.formats import COLUMNS
from db.catalog.running import SHOWN
from db.embedded import EmbeddedStore
from db.store import State
from errors import Unavailable
from tests.db.catalog.command_line import HEADER, ROOT, Catalog, Ran, line

DEMONSTRATION = "data/netflix_titles.csv.gz"


def test_the_demonstration_catalogue_is_loaded_once(command: Catalog) -> None:
    first = command.run("import", DEMONSTRATION, "--if-empty")
    assert (first.status, first.out) == (0, "added 8,786, already there 0, malformed 0")
    second = command.run("import", DEMONSTRATION)
    assert (second.status, second.out) == (0, "added 0, already there 8,786, malformed 0")
    again = command.run("import", DEMONSTRATION, "--if-empty")
    assert again == Ran(0, "this catalogue was imported before: nothing imported", "")
    other = command.run("import", DEMONSTRATION, "--catalogue", "another")
    assert other.out == "added 8,786, already there 0, malformed 0"
    assert command.count() == 2 * 8_786


def test_standard_input_has_to_be_given_a_name(command: Catalog) -> None:
    text = f"{HEADER}\n{line(1)}\n"
    unnamed = command.run("import", "-", stdin=text)
    assert unnamed.status == 1
    assert "--catalogue" in unnamed.err
    assert command.run("import", "-", "--catalogue", "mine", stdin=text).status == 0
    same = command.run("import", command.file("mine.csv", HEADER, line(1)))
    assert same.out == "added 0, already there 1, malformed 0"


def test_a_closed_standard_input_is_a_sentence(command: Catalog) -> None:
    program = f"{sys.executable} -m db.catalog import - --catalogue mine <&-"
    ran = subprocess.run(
        program, shell=True, cwd=ROOT, env=command.environ, capture_output=True, text=True
    )
    told = "python -m db.catalog: standard input: is closed\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", told)


def test_a_pipe_has_to_be_given_a_name(command: Catalog) -> None:
    text = f"{HEADER}\n{line(1)}\n"
    fifo = command.folder / "titles.csv"
    os.mkfifo(fifo)
    for path in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", str(fifo)):
        unnamed = command.run("import", path, stdin=text)
        assert (unnamed.status, unnamed.out) == (1, "")
        assert "--catalogue" in unnamed.err
    named = command.run("import", "/dev/stdin", "--catalogue", "mine", stdin=text)
    assert named == Ran(0, "added 1, already there 0, malformed 0", "")
    assert "Is a directory" in command.run("import", str(command.folder)).err


def test_a_catalogue_has_one_name_however_its_accents_are_written(command: Catalog) -> None:
    for name, added in (("Ame\u0301lie.csv", 1), ("Am\u00e9lie.csv", 0)):
        ran = command.run("import", command.file(name, HEADER, line(1)))
        assert ran.out == f"added {added}, already there {1 - added}, malformed 0"


def test_malformed_lines_are_named_and_the_rest_goes_on(command: Catalog) -> None:
    path = command.file("a.csv", HEADER, line(1), line(2, ""), line(3))
    ran = command.run("import", path)
    assert ran == Ran(2, "added 2, already there 0, malformed 1", "line 3: title is required\n")


def test_of_many_malformed_lines_the_first_are_named(command: Catalog) -> None:
    ran = command.run("import", command.file("a.csv", HEADER, *(line(n, "") for n in range(500))))
    assert (ran.status, ran.out) == (2, "added 0, already there 0, malformed 500")
    told = ran.err.splitlines()
    assert len(told) == SHOWN + 1
    assert told[-2].startswith(f"line {SHOWN + 1}: ")
    assert told[-1] == f"... and {500 - SHOWN} more malformed lines"


def test_a_file_that_cannot_be_read_is_a_sentence(command: Catalog) -> None:
    absent = command.run("import", "absent.csv")
    assert (absent.status, absent.out) == (1, "")
    assert absent.err == "python -m db.catalog: absent.csv: No such file or directory\n"
    other = command.run("import", command.file("a.csv", "a,b", "1,2"))
    assert (other.status, "missing: show_id" in other.err) == (1, True)
    cut = command.folder / "cut.csv.gz"
    rows = "\n".join([HEADER, *(line(n) for n in range(20_000))])
    cut.write_bytes(gzip.compress(rows.encode())[:-20])
    damaged = command.run("import", str(cut))
    assert (damaged.status, "cut off" in damaged.err) == (1, True)
    assert 0 < command.count() < 20_000  # what came before it is kept


def test_a_store_that_cannot_be_used_is_a_sentence(command: Catalog) -> None:
    command.environ["EMBEDDED_PATH"] = str(command.folder)
    ran = command.run("generate", "10")
    assert (ran.status, "EMBEDDED_PATH" in ran.err) == (1, True)


class Asleep(EmbeddedStore):
    """Comes up as late as a server that was never started."""

    def state(self) -> tuple[State, str]:
        return "starting", "connecting"

    async def known(self, ids: Collection[str]) -> set[str]:
        raise Unavailable


async def hasty(seconds: float) -> None:
    """Sleep for no time."""


def test_a_store_that_does_not_come_up_is_waited_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalog, "open_store", lambda config: Asleep(str(tmp_path / "a.sqlite3")))
    monkeypatch.setattr(asyncio, "sleep", hasty)
    assert catalog.main(["generate", "10"]) == 1
    *told, last = capsys.readouterr().err.splitlines()
    assert set(told) == {"the store is away: connecting"}
    assert last == "stopped; the same command goes on from here"


@pytest.mark.parametrize(("asked", "given"), [({}, 10.0), ({"STORE_DEADLINE_S": "60"}, 60.0)])
def test_a_command_waits_longer_for_the_store_than_a_user_would(
    asked: dict[str, str], given: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[float] = []

    def embedded(config: Config) -> EmbeddedStore:
        opened.extend((config.store_deadline_s, config.read_deadline_s))
        return EmbeddedStore(str(tmp_path / "a.sqlite3"))

    monkeypatch.setattr(catalog, "open_store", embedded)
    for name, text in asked.items():
        monkeypatch.setenv(name, text)
    assert catalog.main(["generate", "1"]) == 0
    assert opened == [given, given]


@pytest.mark.parametrize(
    "arguments",
    [(), ("generate", "-5"), ("generate", "many"), ("import",), ("repair", "--after", "7")],
)
def test_wrong_arguments_are_not_mistaken_for_malformed_lines(
    command: Catalog, arguments: tuple[str, ...]
) -> None:
    ran = command.run(*arguments)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("usage: python -m db.catalog")


def test_an_embedded_store_has_nothing_to_repair(command: Catalog) -> None:
    command.run("generate", "500")
    ran = command.run("repair")
    assert ran == Ran(
        0, "nothing to repair: the store writes a row and its lists in one transaction", ""
    )


def test_a_terminal_shows_the_progress_in_one_line(command: Catalog) -> None:
    ours, theirs = pty.openpty()
    process = command.start("generate", "3000", stderr=theirs)
    out, _ = process.communicate(timeout=60)
    os.set_blocking(ours, False)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)
    assert out == "added 3,000, already there 0, malformed 0\n"
    assert "\n" not in shown.rstrip("\r\n")
    assert "3,000 rows, " in shown
    assert "100 %, 0 s left" in shown


def test_help_explains_the_statuses_of_a_run(command: Catalog) -> None:
    ran = command.run("--help")
    assert all(f"{status}: " in ran.out for status in (0, 1, 2, 143))


def test_help_explains_every_column(command: Catalog) -> None:
    ran = command.run("import", "--help")
    assert ran.status == 0
    assert all(column in ran.out for column in COLUMNS)


def test_renew_gives_a_restored_store_another_identity(command: Catalog) -> None:
    command.run("generate", "1")
    identities = set()
    for _ in range(2):
        with sqlite3.connect(command.path) as connection:
            sql = "SELECT value FROM about WHERE name = 'identity'"
            identities.add(connection.execute(sql).fetchone()[0])
        connection.close()
        ran = command.run("renew")
        assert ran.status == 0
        assert "another identity" in ran.out
    assert len(identities) == 2
    assert command.count() == 1
