"""A catalogue file as lines of text: opening it, decompression, and every way that can fail.

Memory does not grow with the file.
"""

from __future__ import annotations

import gzip
import os
import stat
import sys
import zlib
from collections.abc import Iterator

from db.catalog.kinds import why_no_catalogue

LINE_MAX_BYTES = 1_048_576
STDIN = "-"
_GZIP = b"\x1f"  # the first of two bytes, because a pipe may hand over a single byte at first


class Unreadable(Exception):
    """The file is absent, damaged, not text or of another kind. The text tells the user which."""


class TextFile:
    """An open file; the path ``-`` is standard input. Raises Unreadable if it cannot be opened.

    ``total_bytes`` is its size, or None for a pipe, a device and standard input.
    """

    def __init__(self, path: str):
        is_stdin = path == STDIN
        self.name = "standard input" if is_stdin else path
        self.total_bytes: int | None = None
        try:
            source = sys.stdin.fileno() if is_stdin else path
            self._file = open(source, "rb", closefd=not is_stdin)  # noqa: SIM115 - close()
        except (OSError, ValueError) as error:  # ValueError: a closed standard input, a NUL
            raise Unreadable(f"{self.name}: {getattr(error, 'strerror', error)}") from None
        status = os.fstat(self._file.fileno())
        if stat.S_ISREG(status.st_mode) and not is_stdin:
            self.total_bytes = status.st_size

    def close(self) -> None:
        self._file.close()

    def position(self) -> int:
        """Return how many of ``total_bytes`` were read, before decompression; 0 if that is None."""
        return 0 if self.total_bytes is None else self._file.raw.tell()

    def lines(self) -> Iterator[str]:
        """Yield each line with its end, without a byte order mark. Raise Unreadable."""
        number = 0
        try:
            for number, line in enumerate(self._bytes(), 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            unknown = "is not UTF-8: convert it, such as by iconv -f WINDOWS-1252 -t UTF-8"
            raise Unreadable(f"{self.name}, line {number}: {unknown}") from None
        except (EOFError, OSError, zlib.error) as error:  # gzip's own errors have no strerror
            damaged = f"the compressed data are damaged or cut off ({error})"
            reason = getattr(error, "strerror", None) or damaged
            raise Unreadable(f"{self.name}, after line {number}: {reason}") from None

    def _bytes(self) -> Iterator[bytes]:
        is_gzip = self._file.peek(1).startswith(_GZIP)
        plain = gzip.GzipFile(fileobj=self._file) if is_gzip else self._file
        is_known = False
        while line := plain.readline(LINE_MAX_BYTES):
            if not is_known and (why := why_no_catalogue(line)):
                raise Unreadable(f"{self.name}: {why}")
            is_known = is_known or not line.isspace()
            if len(line) == LINE_MAX_BYTES and not line.endswith(b"\n"):
                raise Unreadable(f"{self.name}: has a line of more than {LINE_MAX_BYTES:,} bytes")
            yield line
