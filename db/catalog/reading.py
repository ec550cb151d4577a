"""Lines of a catalogue file -> its rows, one by one, CSV or JSON lines.

A record that is no row becomes a ``Bad`` with the number of its first line, and the rest goes on.
"""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from db.catalog.files import TextFile, Unreadable
from db.catalog.formats import COLUMNS, Catalogue, Malformed, from_columns, from_json
from db.store import Stored

CSV_SUFFIX = ".csv"
JSON_SUFFIXES = (".jsonl", ".ndjson")


class Bad(NamedTuple):
    """A record that is no row; ``line`` is where it starts in the file, counted from 1."""

    line: int
    reason: str


Item = Stored | Bad


def stem(path: str) -> str:
    """The name of the file's catalogue: its own, without what says how it is written."""
    name = os.path.basename(path).removesuffix(".gz")
    root, suffix = os.path.splitext(name)
    return root if suffix in (CSV_SUFFIX, *JSON_SUFFIXES) else name


def rows(file: TextFile, catalogue: Catalogue) -> Iterator[Item]:
    """Every record in turn. Raises Unreadable, at once when the file is not a catalogue at all."""
    feed = _Feed(file.lines())
    first = next((line for line in feed if line.strip()), None)
    if first is None:
        raise Unreadable(f"{file.name}: is empty")
    feed.back([first])
    if _is_json(file.name, first):
        return _json_rows(feed, catalogue)
    return _csv_rows(file.name, feed, catalogue)


def _is_json(name: str, first: str) -> bool:
    """By the file's name, and by its content where the name does not say."""
    name = name.removesuffix(".gz")
    if name.endswith(JSON_SUFFIXES):
        return True
    return not name.endswith(CSV_SUFFIX) and first.lstrip().startswith("{")


class _Feed:
    """Lines, counted, that can be taken back; ``number`` is that of the line last taken."""

    def __init__(self, lines: Iterator[str]):
        self._lines = lines
        self._again: deque[str] = deque()
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line

    def begin(self) -> int:
        """Begins a record; returns the number of its first line."""
        self.taken = []
        return self.number + 1

    def back(self, lines: list[str]) -> None:
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)


def _json_rows(feed: _Feed, catalogue: Catalogue) -> Iterator[Item]:
    feed.begin()
    for line in feed:
        if line.strip():
            try:
                yield from_json(line, catalogue)
            except Malformed as reason:
                yield Bad(feed.number, str(reason))
        feed.begin()


def _csv_rows(name: str, feed: _Feed, catalogue: Catalogue) -> Iterator[Item]:
    records = _records(feed)
    _, header = next(records)
    places = _places(name, header)
    return _rows_of(records, places, len(header), catalogue)


def _places(name: str, header: list[str] | Bad) -> dict[str, int]:
    """Where each column is. Any order will do, and columns of other names are passed over."""
    if isinstance(header, Bad):
        raise Unreadable(f"{name}, line {header.line}: {header.reason}")
    found = {column.strip().lower(): place for place, column in enumerate(header)}
    if missing := [column for column in COLUMNS if column not in found]:
        raise Unreadable(
            f"{name}: the first line has to name the columns {','.join(COLUMNS)}; "
            f"missing: {','.join(missing)}"
        )
    return {column: found[column] for column in COLUMNS}


def _rows_of(
    records: Iterator[tuple[int, list[str] | Bad]],
    places: dict[str, int],
    width: int,
    catalogue: Catalogue,
) -> Iterator[Item]:
    for line, record in records:
        if isinstance(record, Bad):
            yield record
        elif len(record) != width:
            yield Bad(line, f"has {len(record)} columns, not {width}")
        else:
            cells = {column: record[place] for column, place in places.items()}
            try:
                yield from_columns(cells, catalogue)
            except Malformed as reason:
                yield Bad(line, str(reason))


def _records(feed: _Feed) -> Iterator[tuple[int, list[str] | Bad]]:
    """CSV records with the number of their first line; blank lines are none.

    A quote that nobody closes swallows lines up to the next quote. They are taken back, so that
    only its own line is lost: the records behind it are read as if it were not there.
    """
    reader = csv.reader(feed, strict=True)
    while True:
        start = feed.begin()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            feed.back(feed.taken[1:])
            yield start, Bad(start, f"is not CSV: {error}")
            continue
        if record:
            yield start, record
