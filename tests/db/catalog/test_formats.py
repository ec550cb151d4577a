"""What a record of a catalogue file becomes, with the ways in which publishers got theirs wrong."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.catalog.formats import COLUMNS, Catalogue, Malformed, from_record
from db.version import parse_id, parse_version, version_us
from tests.db.catalog.titles import CATALOGUE, RECORD, TEXT, TODAY, could_have_been_posted, stored
from tests.each import each

NO_YEARS = ("MMXX", "0", "21", "0021", "99999", "-2021", "2021.5", "2021-09-25")
NO_TYPES = ("", "Film", "Movies", "TV", "TV  Show", "TV-Show", "Movie, TV Show")
NO_LENGTHS = (
    "long",
    "90",
    "90min",
    "90 mins",
    "1h 30min",
    "2 Season(s)",
    "2 \u017feasons",
    "9 m\u0131n",
)
NO_DATES = (
    *("yesterday", "2021-02-30", "June 31, 2021", "Smarch 1, 2021", "25/09/2021", "09/25/2021"),
    *("25 September 2021", "September 25 2021", "September 25, 21", "September 25, 0021"),
    *("Marraskuu 25, 2021", "Marchuary 1, 2020", "Maybe 25, 2021", "Decimal 1, 2020"),
    *("mai 25, 2021", "septembre 25, 2021", "Septem 25, 2021", "Sept.. 25, 2021"),
    *("0021-09-25", "2021-9-25", "2021-09-25 or so", "2021-09-25 Marraskuu", "20210925"),
)


def row(**cells: Any) -> dict[str, Any]:
    return stored(**cells).row


def reason(**cells: Any) -> str:
    with pytest.raises(Malformed) as caught:
        stored(**cells)
    return str(caught.value)


def added_on(**cells: Any) -> date:
    moment_s = version_us(stored(**cells).created) / 1_000_000
    return datetime.fromtimestamp(moment_s, UTC).date()


def test_every_column_lands_where_the_service_keeps_it() -> None:
    full = row(
        director="Kirsten Johnson",
        cast="Zoë Kravitz, Ann Lee",
        country="France, Egypt",
        duration="90 min",
        listed_in="Dramas, International Movies",
        description="It's dark.",
    )
    expected = {
        "title": "Dark",
        "description": "It's dark.",
        "genres": ["Dramas", "International Movies"],
        "cast": ["Ann Lee", "Zoë Kravitz"],
        "director": "Kirsten Johnson",
        "duration": 5_400,
        "rating": "R",
        "releasedate": "2019",
        "isoriginal": None,
        "ismovie": True,
        "locationuri": None,
        "thumbnailurl": None,
        "trailerurl": None,
        "regions": ["Egypt", "France"],
    }
    assert {key: full[key] for key in full if key not in ("id", "lastupdated")} == expected


def test_empty_cells_are_absent_values() -> None:
    empty = row(rating="", release_year="", date_added="")
    assert [empty[key] for key in ("description", "director", "rating", "releasedate")] == [
        None
    ] * 4
    assert empty["cast"] == empty["regions"] == []


def test_a_row_of_one_catalogue_is_not_the_row_of_another() -> None:
    ours = stored().row["id"]
    assert parse_id(ours) == ours
    assert ours[14] == "5"
    assert from_record(RECORD, Catalogue("netflix_titles", date(2030, 1, 1))).row["id"] == ours
    assert from_record(RECORD, Catalogue("hulu_titles", TODAY)).row["id"] != ours
    assert stored(show_id="s8").row["id"] != ours


def test_ids_never_change_with_a_release() -> None:
    assert stored().row["id"] == "0dcecb06-a5e0-527c-bcf4-ec40d04788c6"
    assert stored().created == "3066bc90-1e24-11ec-af6c-fa017b526eb2"


@pytest.mark.parametrize(
    ("text", "duration", "seasons"),
    [
        ("90 min", 5_400, None),
        ("1 Season", None, 1),
        ("12 Seasons", None, 12),
        ("0 min", 0, None),
        ("", None, None),
    ],
)
def test_a_duration_is_seconds_or_seasons(
    text: str, duration: int | None, seasons: int | None
) -> None:
    series = row(type="TV Show", duration=text)
    assert (series["duration"], series["seasons"]) == (duration, seasons)


def test_a_duration_in_the_rating_column_is_moved() -> None:
    moved = row(rating="74 min", duration="")
    assert (moved["duration"], moved["rating"]) == (74 * 60, None)
    kept = row(rating="74 min", duration="75 min")
    assert (kept["duration"], kept["rating"]) == (75 * 60, None)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021-09-25", date(2021, 9, 25)),
        ("2021-09-25 00:00:00", date(2021, 9, 25)),
        ("2021-09-25T23:59:59.999Z", date(2021, 9, 25)),
        ("2021-09-25 00:00:00+02:00", date(2021, 9, 25)),
        ("September 25, 2021", date(2021, 9, 25)),
        (" August 4, 2017", date(2017, 8, 4)),
        ("Sep. 5, 2021", date(2021, 9, 5)),
        ("Sept. 5, 2021", date(2021, 9, 5)),
        ("sept 5, 2021", date(2021, 9, 5)),
        ("May. 5, 2021", date(2021, 5, 5)),
        ("", date(2019, 1, 1)),
    ],
)
def test_a_row_was_added_on_its_date_or_at_the_start_of_its_release_year(
    text: str, day: date
) -> None:
    assert added_on(date_added=text) == day


@pytest.mark.parametrize("month", range(1, 13))
def test_a_month_is_its_english_name_or_the_three_letters_of_it(month: int) -> None:
    day = date(2021, month, 9)
    for text in (f"{day:%B %d, %Y}", f"{day:%b %d, %Y}", f"{day:%b. %d, %Y}".upper()):
        assert added_on(date_added=text) == day


def test_a_row_without_any_date_comes_last() -> None:
    assert added_on(date_added="", release_year="") == date(1970, 1, 1)


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-02", "December 31, 9999"])
def test_a_date_to_come_is_yesterday(text: str) -> None:
    assert added_on(date_added=text) == date(2026, 2, 28)
    assert added_on(date_added="", release_year="2027") == date(2026, 2, 28)


def test_a_year_before_the_first_timeuuid_is_a_row_like_any_other() -> None:
    assert added_on(date_added="", release_year="1024") == date(1583, 1, 1)
    assert row(release_year="1024")["releasedate"] == "1024"
    assert row(release_year="2020.0")["releasedate"] == "2020"


def test_rows_of_one_day_have_a_fixed_order_without_ties() -> None:
    moments = [version_us(stored(show_id=f"s{number}").created) for number in range(500)]
    assert len(set(moments)) == 500
    assert moments != sorted(moments)
    again = [version_us(stored(show_id=f"s{number}").created) for number in range(500)]
    assert moments == again


def test_the_first_version_is_the_moment_of_creation() -> None:
    made = stored()
    assert parse_version(made.created) == made.created == made.row["lastupdated"]


@pytest.mark.parametrize(
    ("text", "genres"),
    [
        ("Dramas,Comedies", ["Comedies", "Dramas"]),
        (" Dramas ,  Comedies , ", ["Comedies", "Dramas"]),
        ("Police/Cop, Kids", ["Kids", "Police/Cop"]),
        ("Action &amp; Adventure", ["Action & Adventure"]),
        ("Dramas, Dramas", ["Dramas"]),
        ("Arts, Entertainment, and Culture", ["Arts, Entertainment, and Culture"]),
        (
            "Drama, Arts, Entertainment, and Culture, Kids",
            ["Arts, Entertainment, and Culture", "Drama", "Kids"],
        ),
    ],
)
def test_genres_are_split_at_commas_that_separate(text: str, genres: list[str]) -> None:
    assert row(listed_in=text)["genres"] == genres


def test_a_leading_comma_names_no_country() -> None:
    assert row(country=", South Korea")["regions"] == ["South Korea"]


def test_entities_are_read_and_ampersands_are_not() -> None:
    cells = {"title": "Tom &amp; Jerry &#39;40", "description": "Love &notes by AT&T; &amp;lt;"}
    assert row(**cells)["title"] == "Tom & Jerry '40"
    assert row(**cells)["description"] == "Love &notes by AT&T; &lt;"
    assert row(cast="Ann&#44; Jr., Bob")["cast"] == ["Ann, Jr.", "Bob"]


@pytest.mark.parametrize("title", ["1917", "2,215", "2019-01-01", "9", "=SUM(A1)", "null"])
def test_a_title_stays_text(title: str) -> None:
    assert row(title=title)["title"] == title


@each(
    ("cells", "said"),
    [
        ({"show_id": " "}, "show_id is missing"),
        *(({"type": text}, "type has to be Movie or TV Show") for text in NO_TYPES),
        ({"title": ""}, "title is required"),
        ({"title": "x" * 501}, "title has to be at most 500 characters"),
        ({"title": "a\x00b"}, "title has a character that cannot be stored"),
        ({"listed_in": ", ,"}, "listed_in has to name 1 to 20 genres"),
        *(
            ({"release_year": year}, "release_year has to be a year, like 2021")
            for year in NO_YEARS
        ),
        *(
            ({"duration": text}, "duration has to be like 90 min or 2 Seasons")
            for text in NO_LENGTHS
        ),
        ({"duration": "2 Seasons"}, "duration belongs to a series, not to a movie"),
        *(({"date_added": text}, "date_added has to be a date") for text in NO_DATES),
    ],
)
def test_a_reason_names_the_column(cells: dict[str, str], said: str) -> None:
    assert reason(**cells).startswith(said)


def test_a_reason_names_every_wrong_column_that_the_api_would_name() -> None:
    assert reason(title="", listed_in="") == (
        "title is required; listed_in has to name 1 to 20 genres"
    )


@given(st.fixed_dictionaries(dict.fromkeys(COLUMNS, TEXT)))
def test_any_columns_are_a_row_that_could_have_been_posted_or_malformed(
    record: dict[str, str],
) -> None:
    try:
        made = from_record(record, CATALOGUE)
    except Malformed:
        return
    assert could_have_been_posted(made)
