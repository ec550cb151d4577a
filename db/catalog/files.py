"""A catalogue file as lines of text: opening, decompression, and every way that can fail.

Memory does not grow with the file. What cannot be read further raises Unreadable.
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import IO

from db.catalog.kinds import why_no_catalogue

LINE_MAX_BYTES = 1_048_576
STDIN = "-"
_UNNAMED = ("/dev/", "/proc/")
_PIECE_BYTES = 65_536
_GZIP = b"\x1f\x8b"
_BOM = "\ufeff"


class Unreadable(Exception):
    """The file as a whole: absent, damaged, not text, or of another kind. The text says which."""


def has_name(path: str) -> bool:
    """Return whether the file at ``path`` has a name of its own: a pipe has none, and what stands
    in a system's folder is the name of a descriptor. A file that is absent may have one."""
    if path == STDIN or os.path.abspath(path).startswith(_UNNAMED):
        return False
    return os.path.isfile(path) or os.path.isdir(path) or not os.path.exists(path)


class _Counted(io.RawIOBase):
    """The bytes of ``raw``, counted; ``head``: the first two, by which a file tells what it is."""

    def __init__(self, raw: IO[bytes]):
        self._raw = raw
        self.count = 0
        self.head = raw.read(1)
        self.head += raw.read(1) if self.head else b""  # a pipe may hand over one byte at first
        self._unread = self.head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # BufferedReader's
        piece = self._unread or self._raw.read(len(buffer))
        self._unread = b""
        buffer[: len(piece)] = piece
        self.count += len(piece)
        return len(piece)


class TextFile:
    """An open file; ``-`` is standard input. ``total_bytes`` is None where nobody knows it.

    Raises Unreadable, here when it cannot be opened.
    """

    def __init__(self, path: str):
        self.name = "standard input" if path == STDIN else path
        self.total_bytes: int | None = None
        is_stdin = path == STDIN
        try:
            source = sys.stdin.fileno() if is_stdin else path
            self._raw = open(source, "rb", buffering=0, closefd=not is_stdin)  # noqa: SIM115 - close()
            self._counted = _Counted(self._raw)
        except (OSError, ValueError) as error:  # ValueError: a closed standard input, a NUL
            raise Unreadable(f"{self.name}: {getattr(error, 'strerror', error)}") from None
        status = os.fstat(self._raw.fileno())
        if stat.S_ISREG(status.st_mode) and not is_stdin:
            self.total_bytes = status.st_size

    def close(self) -> None:
        self._raw.close()

    def position(self) -> int:
        """Bytes read so far of ``total_bytes``, which are compressed ones in a compressed file."""
        return self._counted.count

    def lines(self) -> Iterator[str]:
        """Lines with their ends, without a byte order mark. Raises Unreadable."""
        number = 0
        try:
            for line in self._bytes():
                number += 1
                text = line.decode()
                yield text if number > 1 else text.removeprefix(_BOM)
        except UnicodeDecodeError:
            unknown = "is not UTF-8: convert it, such as by iconv -f WINDOWS-1252 -t UTF-8"
            raise Unreadable(f"{self.name}, line {number}: {unknown}") from None
        except (EOFError, zlib.error):
            damaged = "the compressed data are damaged or cut off"
            raise Unreadable(f"{self.name}, after line {number}: {damaged}") from None
        except OSError as error:  # what gzip finds wrong is one, too
            reason = error.strerror or error
            raise Unreadable(f"{self.name}, after line {number}: {reason}") from None

    def _bytes(self) -> Iterator[bytes]:
        buffered = io.BufferedReader(self._counted, _PIECE_BYTES)
        is_gzip = self._counted.head == _GZIP
        plain = gzip.GzipFile(fileobj=buffered) if is_gzip else buffered
        is_known = False
        while line := plain.readline(LINE_MAX_BYTES):
            if not is_known and line.strip():
                is_known = True
                if why := why_no_catalogue(line):
                    raise Unreadable(f"{self.name}: {why}")
            if len(line) == LINE_MAX_BYTES and not line.endswith(b"\n"):
                raise Unreadable(f"{self.name}: has a line of more than {LINE_MAX_BYTES:,} bytes")
            yield line
