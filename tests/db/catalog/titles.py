"""A title of a public streaming catalogue, and what is made of it."""

from datetime import date
from typing import Any

from hypothesis import strategies as st

from db.catalog.formats import Catalogue, from_record
from db.store import Stored
from db.video import build, parse_draft

TODAY = date(2026, 3, 1)
CATALOGUE = Catalogue("netflix_titles", TODAY)
RECORD = {
    "show_id": "s7",
    "type": "Movie",
    "title": "Dark",
    "director": "",
    "cast": "",
    "country": "",
    "date_added": "2021-09-25",
    "release_year": "2019",
    "rating": "R",
    "duration": "",
    "listed_in": "Dramas",
    "description": "",
}


TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "Movie",
        "TV Show",
        "9 min",
        "3 Seasons",
        "2021-09-25",
        "May 1, 2020",
        "2020",
        "s1",
        ",",
        "&#0;",
    ]
)


def stored(**cells: Any) -> Stored:
    return from_record(RECORD | cells, CATALOGUE)


def could_have_been_posted(made: Stored) -> bool:
    values = {key: made.row[key] for key in made.row if key not in ("id", "lastupdated")}
    return build(made.row["id"], made.created, parse_draft(values)) == made.row
