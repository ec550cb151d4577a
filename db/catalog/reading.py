"""The files that ``import`` reads: CSV or JSON lines, compressed or not.

FILE is CSV, or JSON lines, which begin with "{"; compressed with gzip or not. "-" is standard
input, which needs --catalogue NAME, as any pipe does.

CSV has the columns of the public streaming catalogues (Netflix, Hulu, Disney+, Amazon Prime), in
any order, named in the first line; other columns are ignored:

  show_id       with the catalogue's name it makes the row's id
  type          Movie or TV Show: ismovie        country     regions
  listed_in     genres                           date_added  when the row was added: its place in
  release_year  releasedate                                  the lists (absent: 1 January of the
  duration      90 min: duration, in seconds;                release year; to come: yesterday)
                2 Seasons: seasons               title, director, cast, rating, description

JSON lines are those columns as keys of an object, or rows of this service: the data of
GET /content/{id}, which keeps its id and its version, or a body for POST /content, which may have
an id or a show_id beside it and is named by its content otherwise.

A malformed line is reported and left out. A row that is there already, or was deleted, is left
alone: importing a file again adds its new rows and changes nothing.
"""

import csv
import gzip
import os
import re
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from db.catalog.formats import COLUMNS, Catalogue, Malformed, from_json, from_record
from db.store import Stored

LINE_MAX_BYTES = 1_048_576
STDIN = "-"
_GZIP = b"\x1f"  # the first of two bytes, because a pipe may hand over a single byte at first
_NO_TEXT = "is not UTF-8: convert it (iconv -f WINDOWS-1252 or UTF-16), or unpack an archive first"
_NO_LINES = "has to have one JSON object a line: jq -c '.[]' makes that of an array"
_SUFFIXES = re.compile(r"(\.csv|\.jsonl|\.ndjson)?(\.gz)?\Z")


class Unreadable(Exception):
    """The file is absent, damaged, not text or no catalogue. The text tells the user which."""


class TextFile:
    """An open file; the path ``-`` is standard input. Raises Unreadable if it cannot be opened."""

    def __init__(self, path: str):
        is_stdin = path == STDIN
        self.name = "standard input" if is_stdin else path
        if is_stdin and sys.stdin is None:  # as Python has it after ``<&-``
            raise Unreadable(f"{self.name}: is closed")
        try:
            source = sys.stdin.fileno() if is_stdin else path
            self._file = open(source, "rb", closefd=not is_stdin)  # noqa: SIM115 - close()
        except (OSError, ValueError) as error:  # ValueError: a closed standard input, a NUL
            raise Unreadable(f"{self.name}: {getattr(error, 'strerror', error)}") from None
        self._size_bytes = os.fstat(self._file.fileno()).st_size

    def share(self) -> float:
        """Return the share of the file that was read, before decompression; 0 for a pipe."""
        return self._file.raw.tell() / self._size_bytes if self._size_bytes else 0.0

    def lines(self) -> Iterator[str]:
        """Yield each line with its end, without a byte order mark. Raise Unreadable."""
        number = 0
        try:
            is_gzip = self._file.peek(1).startswith(_GZIP)
            plain = gzip.GzipFile(fileobj=self._file) if is_gzip else self._file
            for number, line in enumerate(iter(partial(plain.readline, LINE_MAX_BYTES), b""), 1):
                if len(line) == LINE_MAX_BYTES:
                    reason = f"is longer than {LINE_MAX_BYTES:,} bytes; JSON {_NO_LINES}"
                    raise Unreadable(f"{self.name}, line {number}: {reason}")
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Unreadable(f"{self.name}, line {number}: {_NO_TEXT}") from None
        except (EOFError, OSError, zlib.error) as error:  # gzip's own errors have no strerror
            damaged = f"the compressed data are damaged or cut off ({error})"
            reason = getattr(error, "strerror", None) or damaged
            raise Unreadable(f"{self.name}, after line {number}: {reason}") from None


Item = Stored | str
"""A row, or a text that names the first line of a malformed record, from 1, and the reason."""


def catalogue_name(path: str) -> str:
    """Return the catalogue's name by the name of its file.

    Return "" for a pipe or a device, because its name is that of a descriptor.
    """
    is_descriptor = os.path.abspath(path).startswith(("/dev/", "/proc/"))
    if path == STDIN or is_descriptor or Path(path).is_fifo():
        return ""
    return _SUFFIXES.sub("", os.path.basename(path))


def rows(file: TextFile, catalogue: Catalogue) -> Iterator[Item]:
    """Yield every record in turn, a malformed record as a text.

    Raise Unreadable if the file is no catalogue, and where it is damaged.
    """
    lines = file.lines()
    number, first = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (0, ""))
    if why := _why_no_catalogue(first.strip()):
        raise Unreadable(f"{file.name}: {why}")
    lines = chain([first], lines)
    if first.lstrip().startswith("{"):
        yield from _json(lines, number, catalogue)
    else:
        yield from _csv(file.name, lines, number, catalogue)


def _why_no_catalogue(line: str) -> str:
    """Return why a file with this first line is no catalogue; an empty text if it may be one.

    Only the line is looked at, because a pipe may not have more yet.
    """
    if not line:
        return "is empty"
    if "\0" in line:  # UTF-16, or an archive
        return _NO_TEXT
    return _NO_LINES if line == "{" or line.startswith("[") else ""


def _json(lines: Iterator[str], start: int, catalogue: Catalogue) -> Iterator[Item]:
    for number, line in enumerate(lines, start):
        try:
            if line.strip():
                yield from_json(line, catalogue)
        except Malformed as reason:
            yield f"line {number}: {reason}"


def _csv(name: str, lines: Iterator[str], start: int, catalogue: Catalogue) -> Iterator[Item]:
    """Columns may stand in any order; unknown columns are ignored.

    An open quote makes all lines up to the next quote one malformed record.
    """
    reader = csv.reader(lines, strict=True)
    try:
        columns = [column.strip().lower() for column in next(reader)]
    except csv.Error as error:
        raise Unreadable(f"{name}, line {start}: is not CSV: {error}") from None
    if missing := [column for column in COLUMNS if column not in columns]:
        raise Unreadable(
            f"{name}: the first line has to name the columns {','.join(COLUMNS)}; "
            f"missing: {','.join(missing)}"
        )
    cells: list[str] | None = columns
    while cells is not None:
        number = start + reader.line_num
        try:
            if cells := next(reader, None):
                yield _row(columns, cells, catalogue)
        except csv.Error as error:
            last = start + reader.line_num - 1
            yield f"line {number}: is not CSV, up to line {last}: {error}"
        except Malformed as reason:
            yield f"line {number}: {reason}"


def _row(columns: list[str], cells: list[str], catalogue: Catalogue) -> Stored:
    if len(cells) != len(columns):
        raise Malformed(f"has {len(cells)} columns, not {len(columns)}")
    return from_record(dict(zip(columns, cells, strict=True)), catalogue)
