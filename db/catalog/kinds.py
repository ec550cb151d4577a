"""Recognise a file that is no catalogue by its first line, and say how to make one of it."""

from __future__ import annotations

import codecs

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


def why_no_catalogue(line: bytes) -> str | None:
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
