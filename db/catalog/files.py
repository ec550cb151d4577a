"""A catalogue file as lines of text: opening, decompression, and refusing other kinds of files.

Memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import gzip
import os
import stat
import sys
import zlib
from collections.abc import Iterator

LINE_MAX_BYTES = 1_048_576
STDIN = "-"
_GZIP = b"\x1f"  # the first of two bytes, because a pipe may hand over a single byte at first
_ONE_EACH_LINE = "has to have one object a line (jq -c '.[]' makes that of an array)"
_BY_BEGINNING = {
    b"PK\x03\x04": "is a zip archive: unpack it; if it is a workbook (.xlsx), save it as CSV",
    b"\x1f\x8b": "is compressed twice: decompress it once",
    b"BZh": "is compressed with bzip2: decompress it",
    b"\xfd7zXZ": "is compressed with xz: decompress it",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: decompress it",
    b"<": "is HTML or XML, perhaps a web page that was saved in place of the file",
    b"[": f"is a JSON array: it {_ONE_EACH_LINE}",
}
_TAR_MAGIC = slice(257, 262)


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
            if not is_known and (why := _why_no_catalogue(line)):
                raise Unreadable(f"{self.name}: {why}")
            is_known = is_known or not line.isspace()
            if len(line) == LINE_MAX_BYTES and not line.endswith(b"\n"):
                raise Unreadable(f"{self.name}: has a line of more than {LINE_MAX_BYTES:,} bytes")
            yield line


def _why_no_catalogue(line: bytes) -> str | None:
    """Return why a file with this first line is no catalogue; None if it may be one.

    Only the line is looked at, because a pipe may not have more yet.
    """
    if encoding := _wide_encoding(line):
        return f"is {encoding}: convert it (iconv -f {encoding} -t UTF-8)"
    if line[_TAR_MAGIC] == b"ustar":
        return "is a tar archive: unpack it"
    text = line.removeprefix(codecs.BOM_UTF8).strip()
    if text == b"{":
        return f"is JSON over several lines: it {_ONE_EACH_LINE}"
    return next((why for start, why in _BY_BEGINNING.items() if text.startswith(start)), None)


def _wide_encoding(line: bytes) -> str | None:
    """Return the encoding that the byte order mark or the zero bytes of ``line`` show."""
    if line.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) or line[:4].count(0) == 3:
        return "UTF-32"
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or 0 in line[:2]:
        return "UTF-16"
    return None
