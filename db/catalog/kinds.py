"""Recognise a file that is no catalogue by its first line, and say how to make one of it."""

from __future__ import annotations

_ONE_EACH_LINE = "has to have one object a line (jq -c '.[]' makes that of an array)"
_BY_BEGINNING = (
    (b"PK\x03\x04", "is a zip archive: unpack it; if it is a workbook (.xlsx), save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "is a workbook (.xls): save it as CSV"),
    (b"\x1f\x8b", "is compressed twice: decompress it once"),
    (b"BZh", "is compressed with bzip2: decompress it, or compress it with gzip"),
    (b"\xfd7zXZ", "is compressed with xz: decompress it, or compress it with gzip"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: decompress it, or compress it with gzip"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it"),
    (b"%PDF", "is a PDF document, not a catalogue"),
    (b"SQLite format 3", "is an SQLite database, not a catalogue"),
    (b"PAR1", "is a Parquet file: convert it to CSV"),
    (b"<", "is HTML or XML, perhaps a web page that was saved in place of the file"),
    (b"[", f"is a JSON array: it {_ONE_EACH_LINE}"),
)
_TAR_MAGIC = slice(257, 262)


def why_no_catalogue(line: bytes) -> str | None:
    """Return what is wrong with a file, given its first line that is not blank; None if nothing is.

    The first line is enough, and asking for more would wait for a pipe that has no more yet.
    """
    if encoding := _wide_encoding(line):
        return f"is {encoding}: convert it (iconv -f {encoding} -t UTF-8)"
    if line[_TAR_MAGIC] == b"ustar":
        return "is a tar archive: unpack it"
    text = line.removeprefix(b"\xef\xbb\xbf").strip()
    if text == b"{":
        return f"is JSON over several lines: it {_ONE_EACH_LINE}"
    return next((why for beginning, why in _BY_BEGINNING if text.startswith(beginning)), None)


def _wide_encoding(line: bytes) -> str | None:
    """Return the encoding whose byte order mark, or whose zero bytes, begin ``line``."""
    if line.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")) or line[:3] == b"\0\0\0":
        return "UTF-32"
    if line[1:4] == b"\0\0\0":
        return "UTF-32"
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line[:2]:
        return "UTF-16"
    return None
