"""What a JSON line becomes: the columns of the public catalogues, or a row of the service."""

from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.catalog.formats import COLUMNS, Malformed, from_json
from db.store import Stored
from db.version import make_version, new_id, version_us
from db.video import build, parse_draft
from tests.db.catalog.titles import CATALOGUE, RECORD, TEXT, could_have_been_posted, stored

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([*COLUMNS, "id", "lastupdated", "genres", "isMovie", "releaseDate"]) | TEXT

DEEP = "[" * 300 + "]" * 300
"""orjson reads this, and refuses to write it."""


def json_row(**values: Any) -> Stored:
    return from_json(orjson.dumps(values), CATALOGUE)


def test_the_columns_as_json_make_the_row_that_csv_makes() -> None:
    cells = {"title": "1917", "release_year": "2019", "cast": "A, B", "duration": "90 min"}
    typed = {"title": 1917, "release_year": 2019.0, "cast": ["A", "B"], "director": None}
    assert from_json(orjson.dumps(RECORD | cells | typed), CATALOGUE) == stored(**cells)


def test_a_row_that_the_api_served_keeps_its_id_and_version() -> None:
    version = make_version(1_600_000_000_000_000, b"12345678")
    served = build(
        new_id(), version, parse_draft({"title": "T", "genres": ["G"], "isMovie": False})
    )
    assert from_json(orjson.dumps(served), CATALOGUE) == Stored(served, version)


def test_a_version_to_come_is_given_anew() -> None:
    ahead = make_version(4_000_000_000_000_000, b"12345678")
    made = json_row(id=new_id(), lastupdated=ahead, title="T", genres=["G"], ismovie=True)
    assert version_us(made.created) < datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1_000_000
    assert version_us(made.created) > datetime(2026, 2, 28, tzinfo=UTC).timestamp() * 1_000_000


def test_a_post_body_is_named_by_show_id_or_else_by_its_content() -> None:
    body = {"title": "T", "genres": ["G"], "isMovie": True, "releaseDate": "2001"}
    by_content = json_row(**body)
    assert json_row(**dict(reversed(body.items()))) == by_content
    assert json_row(**body | {"title": "U"}).row["id"] != by_content.row["id"]
    assert json_row(**body, show_id="s7").row["id"] == stored().row["id"]
    moment = datetime.fromtimestamp(version_us(by_content.created) / 1_000_000, UTC)
    assert moment.date() == date(2001, 1, 1)


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2017", 2017),
        ("November 9, 2017", 2017),
        ("2017-11-09", 2017),
        (" about 2017 ", 2017),
        ("07/03/07", 1970),
        ("2016/2017", 1970),
        ("20171109", 1970),
        ("0000", 1970),
        ("", 1970),
        (None, 1970),
    ],
)
def test_a_body_is_dated_by_the_year_that_its_release_date_names(
    text: str | None, year: int
) -> None:
    made = json_row(title="T", genres=["G"], isMovie=True, releaseDate=text)
    assert made.row["releasedate"] == text
    moment = datetime.fromtimestamp(version_us(made.created) / 1_000_000, UTC)
    assert moment.date() == date(year, 1, 1)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ('{"title": NaN}', "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "title is required; genres is required; isMovie is required"),
        ('{"title":1917,"genres":["G"],"isMovie":true}', "title has to be a string"),
        ('{"title":"T","genres":["G"],"isMovie":true,"stars":5}', "stars is not a known field"),
        (
            '{"title":"T","genres":["G"],"isMovie":true,"releaseDate":2001}',
            "releaseDate has to be a string",
        ),
        ('{"id":"7","title":"T","genres":["G"],"isMovie":true}', "id has to be a UUID"),
        ('{"lastupdated":"x","title":"T","genres":["G"],"isMovie":true}', "lastupdated has to be"),
        ('{"show_id":{},"title":"T","genres":["G"],"isMovie":true}', "show_id has to be text"),
        (f'{{"title":"T","genres":["G"],"isMovie":true,"x":{DEEP}}}', "x is not a known field"),
        ('{"type":true}', "show_id is missing"),
        ('{"show_id":1,"type":true}', "type has to be text"),
    ],
)
def test_a_json_line_that_is_no_row_says_why(line: str, said: str) -> None:
    with pytest.raises(Malformed, match=f"^{said}"):
        from_json(line, CATALOGUE)


@given(st.dictionaries(KEYS, JSON, max_size=14))
def test_any_json_object_is_a_row_that_could_have_been_posted_or_malformed(
    record: dict[str, object],
) -> None:
    try:
        made = from_json(orjson.dumps(record), CATALOGUE)
    except Malformed:
        return
    assert could_have_been_posted(made)


@given(st.text() | st.binary())
def test_any_line_is_a_row_or_malformed(line: str | bytes) -> None:
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    try:
        made = from_json(text.encode("utf-8", "replace"), CATALOGUE)
    except Malformed:
        return
    assert could_have_been_posted(made)
