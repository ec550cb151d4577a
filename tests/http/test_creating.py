"""``POST /content``: what a video is, said about every wrong field at once."""

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.each import each
from tests.http.samples import (
    FULL,
    MOVIE_KEYS,
    data,
    draft,
    failure,
    genre_name,
    post,
    wrong_fields,
)

REFUSED = "Could not post an invalid video"
INT32_MAX = 2**31 - 1


def refused(client: httpx.Client, body: Any) -> list[str]:
    return wrong_fields(client.post("/content", content=json.dumps(body)), REFUSED)


def cases(values_of: dict[str, list[Any]]) -> list[tuple[str, Any]]:
    return [(field, value) for field, values in values_of.items() for value in values]


def test_a_new_row_is_answered_as_it_is_stored(client: httpx.Client) -> None:
    answer = client.post("/content", json=FULL)
    row = data(answer, 201)
    assert list(row) == MOVIE_KEYS
    assert answer.headers["location"] == f"content/{row['id']}"  # relative to the request
    assert answer.headers["etag"] == f'"{row["lastupdated"]}.2"'
    assert answer.headers["cache-control"] == "no-store"
    assert data(client.get(answer.headers["location"])) == row


def test_each_post_makes_a_row_of_its_own(client: httpx.Client) -> None:
    body = draft()
    ids = [data(client.post("/content", json=body), 201)["id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert data(client.get(f"/content/genre/{body['genres'][0]}")) == {body["genres"][0]: ids[::-1]}


def test_fields_may_be_in_lower_case(client: httpx.Client) -> None:
    upper = data(client.post("/content", json=FULL), 201)
    lower = data(
        client.post("/content", json={name.lower(): value for name, value in FULL.items()}), 201
    )
    ours = ("id", "lastupdated")
    assert {k: v for k, v in lower.items() if k not in ours} == {
        k: v for k, v in upper.items() if k not in ours
    }


@each(
    ("one", "other", "value"),
    [
        ("releaseDate", "releasedate", "2000"),
        ("isMovie", "ismovie", True),
        ("isOriginal", "isoriginal", True),
        ("locationURI", "locationuri", "x"),
        ("title", "TITLE", "x"),
    ],
)
def test_both_spellings_of_a_field_are_refused(
    client: httpx.Client, one: str, other: str, value: Any
) -> None:
    (field,) = refused(client, draft(**{one: value, other: value}))
    assert field in (one, other)


def test_both_spellings_may_be_null(client: httpx.Client) -> None:
    row = data(client.post("/content", json=draft(releaseDate=None, releasedate=None)), 201)
    assert row["releasedate"] is None
    (field,) = refused(client, draft(releaseDate=None, releasedate="2000"))
    assert field == "releasedate"


def test_every_wrong_field_is_named_at_once_as_it_was_spelled(client: httpx.Client) -> None:
    body = {
        "title": 5,
        "genres": "Drama",
        "cast": [1],
        "director": True,
        "duration": "90",
        "rating": [],
        "releaseDate": 1999.5,
        "isOriginal": "true",
        "isMovie": 1,
        "locationuri": {},
        "regions": None,
        "unknown": 1,
        "id": str(uuid.uuid4()),
        "lastUpdated": str(uuid.uuid1()),
    }
    assert refused(client, body) == sorted(set(body) - {"regions"})


def test_what_is_required_is_named(client: httpx.Client) -> None:
    assert refused(client, {}) == ["genres", "isMovie", "title"]
    assert refused(client, {"ismovie": None, "title": None, "genres": None}) == [
        "genres",
        "ismovie",
        "title",
    ]


@each("body", [[], "text", 5, True, None, [{"title": "x"}]])
def test_json_that_is_no_object_is_refused(client: httpx.Client, body: Any) -> None:
    assert len(refused(client, body)) == 1


WRONG: dict[str, list[Any]] = {
    "title": ["", " ", "\t\n", "\u3000", "x" * 501, None, 5, ["x"], "a\0b", True],
    "genres": [
        [],
        None,
        "Drama",
        [""],
        ["x" * 101],
        ["."],
        [".."],
        ["a\nb"],
        ["a\x7fb"],
        ["a\x85b"],
        ["a\0"],
        [5],
        [None],
        [["x"]],
        {},
        {"0": "x"},
        [f"g{number}" for number in range(21)],
        True,
    ],
    "cast": ["Ada", [5], [None], {}, ["a\0"], ["x" * 10_001], 1],
    "regions": ["US", [True], [[]]],
    "description": ["x" * 10_001, 5, [], {}, "a\0", False],
    "director": [5, ["x"]],
    "rating": [5, 4.5],
    "duration": [-1, 2**31, 2**63, 2**64, 10**30, 1.0, 1.5, "5400", True, [], {}, 1e3],
    "releaseDate": [2001, 0, 2001.0, False, ["2001"], "x" * 101, "a\0b"],
    "isOriginal": [0, 1, "true", "", []],
    "isMovie": [0, 1, "false", None, []],
    "locationURI": [5, ["x"], "\0"],
    "thumbnailURL": [5, True],
    "trailerURL": [{}, 0],
    "seasons": [1, 0],  # on a movie
}


@each(("field", "value"), cases(WRONG))
def test_a_wrong_value_is_refused_by_its_field(
    client: httpx.Client, field: str, value: Any
) -> None:
    assert refused(client, draft(**{field: value})) == [field]


@each("seasons", [-1, 2**31, 1.5, "2", True, []])
def test_wrong_seasons_of_a_series_are_refused(client: httpx.Client, seasons: Any) -> None:
    assert refused(client, draft(isMovie=False, seasons=seasons)) == ["seasons"]


@pytest.mark.parametrize("duration", [2**31, 10**20])
def test_an_integer_that_is_too_large_is_told_the_bounds(
    client: httpx.Client, duration: int
) -> None:
    answer = client.post("/content", json=draft(duration=duration))
    (error,) = failure(answer, 422)["errors"]
    assert error["message"] == f"has to be between 0 and {INT32_MAX}"


RIGHT: dict[str, list[Any]] = {
    "title": ["x", "x" * 500, " blanks around ", "🎬" * 500, "null", "a|b", "\u200b"],
    "genres": [["x" * 100], ["🎬" * 100], [f"g{n:02}" for n in range(20)], ["..."]],
    "cast": [[], ["x" * 10_000], [f"n{number:04}" for number in range(2_000)], ["", "|"]],
    "regions": [["US"]],
    "description": ["", "x" * 10_000, "a\nb\tc", "\u2028\ufeff\uffff"],
    "duration": [0, INT32_MAX],
    "releaseDate": ["", " 07/03/07 ", "November 9, 2017", "x" * 100, "🎬" * 100],
    "isOriginal": [True, False],
}


@each(("field", "value"), cases(RIGHT))
def test_a_right_value_comes_back_as_it_was_sent(
    client: httpx.Client, field: str, value: Any
) -> None:
    row = post(client, **{field: value})
    assert row[field.lower()] == value
    assert data(client.get(f"/content/{row['id']}")) == row


def test_null_is_absence(client: httpx.Client) -> None:
    row = post(client, cast=None, regions=None, duration=None, isOriginal=None, seasons=None)
    assert (row["cast"], row["regions"], row["duration"], row["isoriginal"]) == ([], [], None, None)
    assert "seasons" not in row


def test_lists_are_sets_in_order(client: httpx.Client) -> None:
    genre, cast = genre_name(), ["b", "a", "b", "B", "ä", "🎬", "ﬀ"]
    row = post(client, genres=[genre, genre], cast=cast)
    assert row["genres"] == [genre]
    assert row["cast"] == sorted(set(cast))
    assert data(client.get(f"/content/{row['id']}"))["cast"] == row["cast"]
