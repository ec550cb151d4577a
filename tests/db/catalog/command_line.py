"""``python -m db.catalog`` as a user runs it: a process of its own, over an embedded store."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from db.catalog.formats import COLUMNS

ROOT = Path(__file__).parents[3]
HEADER = ",".join(COLUMNS)


def line(number: int, title: str = "T") -> str:
    """A row of a CSV file."""
    return f"s{number},Movie,{title},,,,2021-09-25,2020,R,90 min,Dramas,"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


class Catalog:
    """``python -m db.catalog`` with a store of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "content.sqlite3"
        ours = ("CASSANDRA_", "EMBEDDED_")
        self.environ = {key: os.environ[key] for key in os.environ if not key.startswith(ours)}
        self.environ["EMBEDDED_PATH"] = str(self.path)

    def start(self, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "db.catalog", *arguments],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        process = self.start(*arguments)
        out, err = process.communicate(stdin, timeout=60)
        assert "Traceback" not in err
        return Ran(process.returncode, out.strip(), err)

    def file(self, name: str, *lines: str) -> str:
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def count(self) -> int:
        """Rows in the store so far, as another process sees them."""
        return self._ask("SELECT count(*) FROM video")

    def _ask(self, question: str, *values: str) -> int:
        try:
            connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        except sqlite3.OperationalError:
            return 0
        try:
            return int(connection.execute(question, values).fetchone()[0])
        except sqlite3.OperationalError:
            return 0
        finally:
            connection.close()

    def wait_for_rows(self, least: int = 1) -> None:
        self._wait_for(lambda: self.count() >= least)

    def wait_for_note(self, name: str) -> None:
        self._wait_for(lambda: self._ask("SELECT count(*) FROM about WHERE name = ?", name) == 1)

    def _wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)
