"""``PATCH /content/{id}``: what may change, and what a change does to the row."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.each import each
from tests.http.samples import (
    FULL,
    MOVIE_KEYS,
    SERIES_KEYS,
    data,
    failure,
    genre_name,
    post,
    wrong_fields,
)

NOBODY = "Could not update a nonexistent video"


def patch(client: httpx.Client, row: Any, **fields: Any) -> Any:
    return data(client.patch(f"/content/{row['id']}", json=fields))


def refused(client: httpx.Client, row: Any, body: Any) -> list[str]:
    fields = wrong_fields(client.patch(f"/content/{row['id']}", json=body))
    assert data(client.get(f"/content/{row['id']}")) == row
    return fields


def test_a_change_answers_the_row_as_it_is_now(client: httpx.Client) -> None:
    row = post(client, **FULL)
    answer = client.patch(f"/content/{row['id']}", json={"title": "New", "releaseDate": "1999"})
    now = data(answer)
    assert list(now) == MOVIE_KEYS
    changed = {"title": "New", "releasedate": "1999", "lastupdated": now["lastupdated"]}
    assert now == row | changed
    assert now["lastupdated"] != row["lastupdated"]
    assert answer.headers["etag"] == f'"{now["lastupdated"]}.2"'
    assert answer.headers["cache-control"] == "no-store"
    for url in (f"/content/{row['id']}", f"/content?videoId={row['id'].upper()}"):
        read = client.get(url)
        assert data(read) == now
        assert read.headers["etag"] == answer.headers["etag"]


def test_every_field_can_be_changed(client: httpx.Client) -> None:
    row = post(client)
    now = patch(client, row, **FULL)
    same = post(client, **FULL)
    ours = {"id": row["id"], "lastupdated": now["lastupdated"]}
    assert now == same | ours
    assert data(client.get(f"/content/{row['id']}")) == now


@each("name", sorted(set(FULL) - {"title", "genres", "isMovie"}))
@each("lower", [True, False])
def test_null_clears_an_optional_field(client: httpx.Client, name: str, lower: bool) -> None:
    row = post(client, **FULL)
    now = patch(client, row, **{name.lower() if lower else name: None})
    empty: Any = [] if name in ("cast", "regions") else None
    assert now == row | {name.lower(): empty, "lastupdated": now["lastupdated"]}
    assert data(client.get(f"/content/{row['id']}")) == now


@each("value", [None, [], "", " ", 5])
@each("name", ["title", "genres", "isMovie", "ismovie"])
def test_what_is_required_cannot_be_cleared(client: httpx.Client, name: str, value: Any) -> None:
    row = post(client)
    assert refused(client, row, {name: value, "rating": "PG"}) == [name]


def test_every_wrong_field_is_named_at_once(client: httpx.Client) -> None:
    row = post(client)
    body = {"title": 1, "cast": "x", "duration": 1.5, "nope": 1, "lastUpdated": "x", "id": 5}
    assert refused(client, row, body) == sorted(body)


def test_nothing_to_change_is_refused(client: httpx.Client) -> None:
    row = post(client)
    version = {"lastUpdated": row["lastupdated"]}
    for body in ({}, version, {"id": row["id"]}, {"id": row["id"], **version}):
        assert len(refused(client, row, body)) == 1


@each("body", [[], "x", 5, True, [{"title": "x"}]])
def test_json_that_is_no_object_is_refused(client: httpx.Client, body: Any) -> None:
    assert len(refused(client, post(client), body)) == 1


def test_an_id_in_the_body_has_to_be_that_of_the_path(client: httpx.Client) -> None:
    row = post(client)
    row = patch(client, row, id=row["id"], title="A")
    row = patch(client, row, id=row["id"].upper(), title="B")
    for wrong in (str(uuid.uuid4()), "", None, 5, [row["id"]], row["id"] + " "):
        assert refused(client, row, {"id": wrong, "title": "C"}) == ["id"]


def test_an_id_in_upper_case_is_the_same_row(client: httpx.Client) -> None:
    row = post(client)
    now = data(client.patch(f"/content/{row['id'].upper()}", json={"title": "New"}))
    assert now["id"] == row["id"]
    assert data(client.get(f"/content/{row['id']}")) == now


def test_a_change_to_the_same_values_is_a_new_version(client: httpx.Client) -> None:
    row = post(client)
    versions = [row["lastupdated"]]
    versions += [patch(client, row, title="Same")["lastupdated"] for _ in range(4)]
    times = [uuid.UUID(version).time for version in versions]
    assert times == sorted(set(times))


def test_a_row_is_listed_under_the_genres_it_has_now(client: httpx.Client) -> None:
    kept, left, joined = (genre_name(name) for name in ("kept/", "left", "joined"))

    def listed(genre: str) -> Any:
        answer = client.get("/content/genre/" + genre.replace("/", "%2F"))
        return answer.json()["data"][genre] if answer.status_code == 200 else []

    row = post(client, genres=[kept, left])
    patch(client, row, genres=[joined, kept])
    assert [listed(genre) for genre in (kept, left, joined)] == [[row["id"]], [], [row["id"]]]
    patch(client, row, genres=[left])
    assert [listed(genre) for genre in (kept, left, joined)] == [[], [row["id"]], []]


def test_a_movie_that_becomes_a_series_gets_seasons(client: httpx.Client) -> None:
    series = patch(client, post(client), isMovie=False)
    assert list(series) == SERIES_KEYS
    assert series["seasons"] is None
    at_once = patch(client, post(client), ismovie=False, seasons=2)
    assert list(at_once.items())[-1] == ("seasons", 2)
    assert data(client.get(f"/content/{at_once['id']}")) == at_once


def test_a_series_that_becomes_a_movie_loses_seasons(client: httpx.Client) -> None:
    row = post(client, isMovie=False, seasons=4)
    movie = patch(client, row, isMovie=True)
    assert list(movie) == MOVIE_KEYS
    assert data(client.get(f"/content/{row['id']}")) == movie
    again = patch(client, row, isMovie=False)
    assert again["seasons"] is None


def test_a_movie_gets_no_seasons(client: httpx.Client) -> None:
    movie, series = post(client), post(client, isMovie=False, seasons=1)
    assert refused(client, movie, {"seasons": 3}) == ["seasons"]
    assert refused(client, series, {"seasons": 3, "isMovie": True}) == ["seasons"]


@each("video_id", ["x", "0" * 32, str(uuid.uuid4()) + "0"])
def test_a_malformed_id_is_not_found_before_anything_else(
    client: httpx.Client, video_id: str
) -> None:
    for body in (b"", b"{", b'{"title": 5}', b'{"title": "x"}'):
        answer = client.patch(
            f"/content/{video_id}", content=body, headers={"content-type": "text/plain"}
        )
        failure(answer, 404, NOBODY)


def test_an_unknown_row_is_not_found_after_its_body_was_read(client: httpx.Client) -> None:
    url = f"/content/{uuid.uuid4()}"
    failure(client.patch(url, content=b"{"), 400)
    assert wrong_fields(client.patch(url, json={"title": 5})) == ["title"]
    failure(client.patch(url, json={"title": "x"}), 404, NOBODY)
    for condition in ("*", '"x"', f'"{uuid.uuid1()}.2"'):
        answer = client.patch(url, json={"title": "x"}, headers={"If-Match": condition})
        failure(answer, 404, NOBODY)
    failure(client.get(url), 404)


def test_changes_at_once_are_all_kept(client: httpx.Client) -> None:
    row = post(client)
    changes = [{"director": "x"}, {"rating": "x"}, {"description": "x"}, {"trailerURL": "x"}]
    with ThreadPoolExecutor(len(changes)) as pool:
        answers = list(
            pool.map(lambda body: client.patch(f"/content/{row['id']}", json=body), changes)
        )
    kept: dict[str, str] = {}
    for body, answer in zip(changes, answers, strict=True):
        if answer.status_code == 409:
            failure(answer, 409)
            assert answer.headers["retry-after"] == "1"
        else:
            assert data(answer)
            kept |= {name.lower(): value for name, value in body.items()}
    now = data(client.get(f"/content/{row['id']}"))
    assert kept
    assert {name: now[name] for name in kept} == kept
    assert now["lastupdated"] in {
        answer.json().get("data", {}).get("lastupdated") for answer in answers
    }
