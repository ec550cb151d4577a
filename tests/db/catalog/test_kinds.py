"""Files that are no catalogue: the refusal says what to do."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from db.catalog.reading import LINE_MAX_BYTES
from tests.db.catalog.test_reading import HEADER, line, refusal


def archive(kind: str, name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as packed:
            packed.writestr(name, content)
    else:
        with tarfile.open(fileobj=out, mode="w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


CSV = f"{HEADER}\n{line(1, 'Amélie')}\n".encode()
ROW = b'{"title": "A", "genres": ["G"], "isMovie": true}'
UNPACK = "or unpack an archive first"
ONE_A_LINE = "one JSON object a line"
NO_COLUMNS = "the first line has to name the columns show_id,type,"
NO_CATALOGUES = [
    pytest.param(archive("zip", "a.csv", CSV), UNPACK, id="zip"),
    pytest.param(archive("zip", "xl/workbook.xml", b""), UNPACK, id="xlsx"),
    pytest.param(archive("tar", "a.csv", CSV), UNPACK, id="tar"),
    pytest.param(gzip.compress(archive("tar", "a.csv", CSV)), UNPACK, id="tar.gz"),
    pytest.param(gzip.compress(gzip.compress(CSV)), UNPACK, id="gz.gz"),
    pytest.param(gzip.compress(archive("zip", "a.csv", CSV)), UNPACK, id="zip.gz"),
    pytest.param(bz2.compress(CSV), UNPACK, id="bz2"),
    pytest.param(lzma.compress(CSV), UNPACK, id="xz"),
    pytest.param(b"<!DOCTYPE html>\n<html>", NO_COLUMNS, id="html"),
    pytest.param(b"\r\n\n  <?xml?>", NO_COLUMNS, id="blank lines, then xml"),
    pytest.param(b"\xef\xbb\xbf<html>", NO_COLUMNS, id="a mark, then html"),
    pytest.param(b"[" + ROW + b"]", ONE_A_LINE, id="array"),
    pytest.param(b"\n[\n" + ROW + b",\n" + ROW + b"]", ONE_A_LINE, id="array of lines"),
    pytest.param(b"[" + b" " * LINE_MAX_BYTES + b"]", ONE_A_LINE, id="a long array"),
    pytest.param(ROW.replace(b"{", b"{\n"), ONE_A_LINE, id="pretty JSON"),
    *(
        pytest.param(text.encode(code), "is not UTF-8: convert it", id=f"{code} {text[0]}")
        for code in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
        for text in (CSV.decode(), ROW.decode())
    ),
]


@pytest.mark.parametrize(("data", "said"), NO_CATALOGUES)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a"])
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, data: bytes, said: str, name: str
) -> None:
    assert said in refusal(tmp_path / name, data)
