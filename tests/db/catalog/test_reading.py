"""Files of every kind a user has: their rows, the lines that are none, and what cannot be read."""

import contextlib
import csv
import gzip
import io
from contextlib import closing
from datetime import date
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.catalog.formats import COLUMNS, Catalogue
from db.catalog.reading import (
    LINE_MAX_BYTES,
    Item,
    TextFile,
    Unreadable,
    catalogue_name,
    rows,
)
from db.store import Stored

CATALOGUE = Catalogue("test", date(2026, 3, 1))
HEADER = ",".join(COLUMNS)
DEMONSTRATION = Path(__file__).parents[3] / "data" / "netflix_titles.csv.gz"


def line(number: int, title: str = "T", description: str = "") -> str:
    return f"s{number},Movie,{title},,,,2021-09-25,2020,R,90 min,Dramas,{description}"


def read(path: Path, data: str | bytes) -> list[Item]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    file = TextFile(str(path))
    with closing(file._file):
        return list(rows(file, CATALOGUE))


def read_csv(folder: Path, *lines: str, end: str = "\n") -> list[Item]:
    return read(folder / "a.csv", "".join(f"{line}{end}" for line in lines))


def titles(items: list[Item]) -> list[str]:
    return [item.row["title"] for item in items if isinstance(item, Stored)]


def bad(items: list[Item]) -> list[int]:
    return [int(item.split()[1].rstrip(":")) for item in items if isinstance(item, str)]


def refusal(path: Path, data: str | bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        read(path, data)
    return str(caught.value)


def test_every_title_of_the_demonstration_catalogue_is_a_row() -> None:
    file = TextFile(str(DEMONSTRATION))
    with closing(file._file):
        found = list(rows(file, CATALOGUE))
        assert file.share() == 1.0
    assert bad(found) == []
    assert len({item.row["id"] for item in found if isinstance(item, Stored)}) == 8_786


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_and_line_breaks_belong_to_a_cell(tmp_path: Path, end: str) -> None:
    quoted = line(1, '"A ""B"", C"', f'"one{end}two, three"')
    (found,) = read_csv(tmp_path, HEADER, quoted, end=end)
    assert isinstance(found, Stored)
    assert found.row["title"] == 'A "B", C'
    assert found.row["description"] == f"one{end}two, three"


def test_a_malformed_record_is_reported_by_the_line_that_it_starts_on(tmp_path: Path) -> None:
    found = read_csv(
        tmp_path,
        "",
        HEADER,  # 2
        line(1, "A", '"two\nlines"'),  # 3, 4
        line(2, ""),  # 5
        "",
        line(3, "B", '"three\n\nlines"'),  # 7, 8, 9
        "s4,Movie",  # 10
        line(5, "", '"two\nlines"'),  # 11, 12
        line(6, "C"),  # 13
        line(7, "D") + ",more",  # 14
    )
    assert titles(found) == ["A", "B", "C"]
    assert bad(found) == [5, 10, 11, 14]
    complaints = [item for item in found if isinstance(item, str)]
    assert complaints[:2] == ["line 5: title is required", "line 10: has 2 columns, not 12"]


def test_an_open_quote_is_reported_with_the_lines_that_it_swallows(tmp_path: Path) -> None:
    middle = read_csv(tmp_path, HEADER, line(1, '"A'), line(2, "B"), line(3, '"C"'), line(4, "D"))
    assert (bad(middle), titles(middle)) == ([2], ["D"])
    assert str(middle[0]).startswith("line 2: is not CSV, up to line 4: ")
    end = read_csv(tmp_path, HEADER, line(1, "A"), line(2, '"B'), line(3, "C"), line(4, "D"))
    assert (bad(end), titles(end)) == ([3], ["A"])
    many = read_csv(tmp_path, HEADER, line(0, '"A'), *(line(i, f"T{i}") for i in range(1, 4_000)))
    assert bad(many) == [2]
    assert len(titles(many)) > 1_000  # a cell of more than 128 KiB ends the record


def test_columns_are_found_by_name_in_any_order_behind_a_byte_order_mark(tmp_path: Path) -> None:
    order = ["", *reversed(COLUMNS), "imdb"]
    cells = dict(zip(COLUMNS, line(1, "A").split(","), strict=True))
    text = "\ufeff" + ",".join(order) + "\n" + ",".join(cells.get(name, "9") for name in order)
    assert titles(read(tmp_path / "a.csv", text)) == ["A"]


def test_a_header_without_a_column_says_which(tmp_path: Path) -> None:
    said = refusal(tmp_path / "a.csv", "show_id,title\ns1,T\n")
    assert said.endswith("missing: type,director,cast,country,date_added,release_year,rating,"
                         "duration,listed_in,description")  # fmt: skip
    assert "a.csv" in said


def test_json_lines_are_counted_with_the_blank_ones(tmp_path: Path) -> None:
    row = '{"title":"A","genres":["G"],"isMovie":true}'
    found = read(tmp_path / "a.ndjson", f"\ufeff\n{row}\n\n  \nnull\n{row}")
    assert (titles(found), bad(found)) == (["A", "A"], [5])


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz", "a.json", "a", "-"])
def test_json_lines_are_known_by_name_or_content(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = orjson.dumps({"title": "A", "genres": ["G"], "isMovie": True})
    data = gzip.compress(row) if name.endswith(".gz") else b"\n " + row
    path = tmp_path / name
    path.write_bytes(data)
    with path.open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        file = TextFile("-" if name == "-" else str(path))
        with closing(file._file):
            assert titles(list(rows(file, CATALOGUE))) == ["A"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a", "a.csv.bak"])
def test_compression_is_known_by_content(tmp_path: Path, name: str) -> None:
    text = f"{HEADER}\n{line(1, 'A')}\n".encode()
    assert titles(read(tmp_path / name, gzip.compress(text))) == ["A"]
    assert titles(read(tmp_path / name, text)) == ["A"]
    assert titles(read(tmp_path / name, gzip.compress(text) + gzip.compress(line(2).encode())))


def test_files_that_are_no_catalogue_say_what_they_are(tmp_path: Path) -> None:
    text = f"{HEADER}\n{line(1, 'Amélie')}\n"
    packed = gzip.compress(text.encode())
    path = tmp_path / "a.csv"
    assert refusal(path, "").endswith("a.csv: is empty")
    assert refusal(path, " \n\n").endswith("a.csv: is empty")
    assert "a.csv, line 2: is not UTF-8: convert it" in refusal(path, text.encode("latin-1"))
    assert "cut off" in refusal(path, packed[:-9])
    assert "CRC" in refusal(path, packed[:-8] + b"12345678")
    assert "damaged" in refusal(path, packed[:20] + b"\xff" * 20 + packed[40:])
    assert f"{LINE_MAX_BYTES:,} bytes" in refusal(path, f"{HEADER}\n" + "x" * LINE_MAX_BYTES)
    assert "is not CSV" in refusal(path, f'"show_id{HEADER}')
    with pytest.raises(Unreadable, match="absent: No such file"):
        TextFile(str(tmp_path / "absent"))
    with pytest.raises(Unreadable, match="directory"):
        TextFile(str(tmp_path))


def test_what_comes_before_the_damage_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"{HEADER}\n{line(1, 'A')}\n".encode() + b"\xff\n")
    file = TextFile(str(path))
    found = rows(file, CATALOGUE)
    assert titles([next(found)]) == ["A"]
    with closing(file._file), pytest.raises(Unreadable, match="line 3"):
        next(found)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/netflix_titles.csv.gz", "netflix_titles"),
        ("/a/hulu.titles.jsonl", "hulu.titles"),
        ("x.ndjson.gz", "x"),
        ("dump.json", "dump.json"),
    ],
)
def test_a_catalogue_is_named_by_its_file(path: str, name: str) -> None:
    assert catalogue_name(path) == name


CELLS = st.lists(st.text(max_size=12), min_size=12, max_size=12)


@given(st.lists(CELLS, max_size=6))
def test_a_well_formed_file_has_a_row_or_a_reason_for_every_record(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]]
) -> None:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([COLUMNS, *records])
    found = read(tmp_path_factory.mktemp("any") / "a.csv", out.getvalue())
    assert len(found) == len(records)


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.jsonl", "a"]), st.booleans())
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str, has_header: bool
) -> None:
    with contextlib.suppress(Unreadable):
        read(tmp_path_factory.mktemp("any") / name, HEADER.encode() * has_header + b"\n" + data)
