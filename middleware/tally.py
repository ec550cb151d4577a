"""Rows of numbers by label, in the memory of one process or in files that several processes read.

A file has one writer and any number of readers, and none of them waits. A number is an aligned
double, which is stored and loaded whole. A reader may see one number of a row before another. The
row is then off by the request that is being counted, and right at the next look.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

Labels = tuple[str, ...]
Row: TypeAlias = "list[float] | memoryview[float]"
"""As many numbers as the tally's ``width``. The caller adds its counts to them."""

RECORDS = 512
"""Records in a file. Routes, methods, outcomes and layers make about 100. The last record is for
``OTHER``, which counts labels without room."""
LABEL_BYTES = 128
OTHER = "other"
_DOUBLE = 8


class Tally:
    """Rows in memory."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: dict[Labels, list[float]] = {}

    def row(self, labels: Labels) -> Row:
        """Return the row of ``labels``. A new row has zeros."""
        return self._rows.setdefault(labels, [0.0] * self._width)

    def rows(self) -> Iterator[tuple[Labels, Sequence[float]]]:
        """Yield each row with its labels."""
        yield from self._rows.items()


class SharedTally:
    """Rows in the file ``name``, whose only writer must be this process. Counts in an existing file
    go on. ``rows`` are sums over all files in the same folder with the same suffix.

    If the file is full, or labels are longer than ``LABEL_BYTES``, they count as ``OTHER``.
    """

    def __init__(self, name: Path, width: int) -> None:
        self._name = name
        self._width = width
        with open(os.open(name, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            # in full, so that a full disk is an error here, and no SIGBUS at a later count
            os.posix_fallocate(file.fileno(), 0, _size(width))
            self._bytes = memoryview(mmap.mmap(file.fileno(), _size(width)))
        self._doubles = self._bytes.cast("d")  # the first is the number of records
        self._rows = dict(_records(self._bytes, width))

    def row(self, labels: Labels) -> Row:
        """Return the row of ``labels``. A new row has zeros."""
        found = self._rows.get(labels)
        if found is None:
            label, used = _label(labels), int(self._doubles[0])
            if used < RECORDS - 1 and len(label) <= LABEL_BYTES:
                found = self._add(labels)
            else:
                other = (OTHER,) * len(labels)
                found = self._rows.get(other) or self._add(other)
        return found

    def _add(self, labels: Labels) -> memoryview[float]:
        used = int(self._doubles[0])
        start = _start(used, self._width)
        self._bytes[start : start + LABEL_BYTES] = _label(labels).ljust(LABEL_BYTES, b"\0")
        self._doubles[0] = used + 1.0  # last, so that no reader or later worker sees half a label
        row = self._rows[labels] = _numbers(self._bytes, used, self._width)
        return row

    def rows(self) -> Iterator[tuple[Labels, Sequence[float]]]:
        """Yield each row with its labels, summed over all files."""
        totals: dict[Labels, Sequence[float]] = {}
        for path in self._name.parent.glob(f"*{self._name.suffix}"):
            for labels, row in _read(path, self._width):
                before = totals.get(labels)
                totals[labels] = [*map(sum, zip(before, row, strict=True))] if before else row
        yield from totals.items()


def _label(labels: Labels) -> bytes:
    return "\n".join(labels).encode()


def _start(record: int, width: int) -> int:
    return _DOUBLE + record * (LABEL_BYTES + _DOUBLE * width)


def _size(width: int) -> int:
    return _start(RECORDS, width)


def _numbers(whole: memoryview, record: int, width: int) -> memoryview[float]:
    start = _start(record, width) + LABEL_BYTES
    return whole[start : start + _DOUBLE * width].cast("d")


def _records(whole: memoryview, width: int) -> Iterator[tuple[Labels, memoryview[float]]]:
    used = int(whole[:_DOUBLE].cast("d")[0])
    for record in range(used):
        start = _start(record, width)
        label = bytes(whole[start : start + LABEL_BYTES]).rstrip(b"\0").decode()
        yield tuple(label.split("\n")), _numbers(whole, record, width)


def _read(path: Path, width: int) -> list[tuple[Labels, list[float]]]:
    """Return the rows of a file. It is mapped, because a plain read may copy half a number."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < _size(width):
            return []  # another worker is making it
        whole = memoryview(mmap.mmap(file.fileno(), _size(width), access=mmap.ACCESS_READ))
    return [(labels, list(row)) for labels, row in _records(whole, width)]
