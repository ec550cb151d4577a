"""``GET /content/{id}`` and ``GET /content?videoId=``: the same row, whatever its id looks like."""

import uuid
from typing import Any

import httpx
import pytest

from tests.each import each
from tests.http.samples import (
    FULL,
    MOVIE_KEYS,
    SERIES_KEYS,
    TIMEUUID,
    UUID,
    data,
    failure,
    genre_name,
    post,
)

MALFORMED = [
    "x",
    "0",
    "None",
    "00000000-0000-0000-0000-00000000000",
    "00000000-0000-0000-0000-0000000000000",
    "00000000000000000000000000000000",
    "{00000000-0000-0000-0000-000000000000}",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "g0000000-0000-0000-0000-000000000000",
    "0000000-00000-0000-0000-000000000000",
    "\u0660000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-00000000000%0A",
    "00000000-0000-0000-0000-000000000000%0A",
    "00000000-0000-0000-0000-000000000000%00",
    "%20" + "00000000-0000-0000-0000-000000000000",
    "00000000-0000-0000-0000-000000000000;x=1",
    "' OR 1=1 --",
    "a" * 4000,
]


def test_a_row_has_every_key_in_its_order(client: httpx.Client) -> None:
    movie = post(client)
    series = post(client, isMovie=False, seasons=3)
    assert list(data(client.get(f"/content/{movie['id']}"))) == MOVIE_KEYS
    assert list(data(client.get(f"/content/{series['id']}"))) == SERIES_KEYS


def test_values_keep_their_types(client: httpx.Client) -> None:
    row = post(client, **FULL)
    read = data(client.get(f"/content/{row['id']}"))
    expected = {name.lower(): value for name, value in FULL.items()}
    expected |= {name: sorted(expected[name]) for name in ("genres", "cast", "regions")}
    assert {name: value for name, value in read.items() if name in expected} == expected
    kinds = {name: type(value) for name, value in read.items()}
    assert kinds["isoriginal"] is kinds["ismovie"] is bool
    assert kinds["duration"] is int
    assert UUID.fullmatch(read["id"])
    assert TIMEUUID.fullmatch(read["lastupdated"])


def test_what_is_absent_is_null_or_an_empty_array(client: httpx.Client) -> None:
    genre = genre_name()
    row = post(client, title="Bare", genres=[genre], isMovie=False)
    read = data(client.get(f"/content/{row['id']}"))
    given = {"title": "Bare", "genres": [genre], "ismovie": False}
    arrays: dict[str, Any] = {"cast": [], "regions": []}
    expected: dict[str, Any] = dict.fromkeys(SERIES_KEYS) | given | arrays
    expected |= {"id": row["id"], "lastupdated": row["lastupdated"]}
    assert read == expected


def test_a_single_genre_stays_an_array(client: httpx.Client) -> None:
    row = post(client, genres=["Only"], cast=["One|Two"], regions=["x"])
    read = data(client.get(f"/content/{row['id']}"))
    assert (read["genres"], read["cast"], read["regions"]) == (["Only"], ["One|Two"], ["x"])


@pytest.mark.parametrize("seasons", [None, 0, 7])
def test_seasons_is_the_last_key_of_a_series(client: httpx.Client, seasons: int | None) -> None:
    row = post(client, isMovie=False, seasons=seasons)
    read = data(client.get(f"/content/{row['id']}"))
    assert list(read.items())[-1] == ("seasons", seasons)


def test_every_way_to_ask_gets_the_same_bytes(client: httpx.Client) -> None:
    row = post(client, **FULL)
    video_id, upper = row["id"], row["id"].upper()
    answers = [
        client.get(url)
        for url in (
            f"/content/{video_id}",
            f"/content/{upper}",
            f"/content?videoId={video_id}",
            f"/content?videoId={upper}",
            f'/content?videoId="{video_id}"',
            f"/content?videoId=%22{upper}%22",
            f"/content?videoId='{video_id}'",
            f"/content?videoId={video_id}&other=1",
            f"/content/{video_id}?other=1",
            f"/content/{video_id}",
        )
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len({answer.headers["etag"] for answer in answers}) == 1
    assert answers[0].json()["data"] == row


@each("text", MALFORMED)
def test_a_malformed_id_is_not_found(client: httpx.Client, text: str) -> None:
    assert failure(client.get(f"/content/{text}"), 404) == {}
    assert failure(client.get(f"/content?videoId={text}"), 404) == {}


def test_an_unknown_id_is_not_found(client: httpx.Client) -> None:
    for _ in range(2):  # the second time it is known to be unknown
        unknown = uuid.uuid4()
        for url in (f"/content/{unknown}", f"/content?videoId={unknown}", f"/content/{unknown}"):
            assert failure(client.get(url), 404, "Not Found") == {}


def test_an_unknown_id_is_found_once_it_was_made(client: httpx.Client) -> None:
    key = genre_name("key")
    probe = post(client, {"Idempotency-Key": key}, title="First")
    client.delete(f"/content/{probe['id']}")
    failure(client.get(f"/content/{probe['id']}"), 404)
    row = post(client, {"Idempotency-Key": key}, title="Second")
    assert row["id"] == probe["id"]
    assert data(client.get(f"/content/{row['id']}"))["title"] == "Second"


@each("query", ["", "?", "?videoid=1", "?other=1", "?id={id}"])
def test_a_missing_video_id_is_unreadable(client: httpx.Client, query: str) -> None:
    failure(client.get("/content" + query.format(id=uuid.uuid4())), 400)


def test_two_video_ids_are_unreadable(client: httpx.Client) -> None:
    video_id = post(client)["id"]
    failure(client.get(f"/content?videoId={video_id}&videoId={video_id}"), 400)
    failure(client.get(f"/content?videoId={video_id}&videoId="), 400)
    failure(client.get(f"/content?videoId=&videoId={video_id}"), 400)


@each("text", ["", '""', '"', "'", "''", "%22%22%22", "%FF", "%ED%A0%80"])
def test_a_video_id_that_is_none_is_not_found(client: httpx.Client, text: str) -> None:
    failure(client.get(f"/content?videoId={text}"), 404)


@each("quotes", [("'", '"'), ('"', ""), ("", "'"), ('""', '""')])
def test_quotes_come_off_as_one_pair(client: httpx.Client, quotes: tuple[str, str]) -> None:
    before, after = quotes
    video_id = post(client)["id"]
    failure(client.get("/content", params={"videoId": f"{before}{video_id}{after}"}), 404)


@pytest.mark.parametrize("url", ["/content/{id}", "/content?videoId={id}"])
def test_head_says_what_get_says_without_the_body(client: httpx.Client, url: str) -> None:
    url = url.format(id=post(client, **FULL)["id"])
    get, head = client.get(url), client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == get.headers[name]
    missing = client.head(f"/content/{uuid.uuid4()}")
    assert (missing.status_code, missing.content) == (404, b"")
    assert int(missing.headers["content-length"]) > 0


def test_a_row_says_how_it_may_be_kept_and_who_had_it(client: httpx.Client) -> None:
    row = post(client)
    answer = client.get(f"/content/{row['id']}")
    assert answer.headers["etag"] == f'"{row["lastupdated"]}.2"'
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["cache-status"].startswith("content; ")
    assert answer.headers["server-timing"].startswith("total;dur=")
    assert answer.headers["date"].endswith(" GMT")


def test_a_failure_says_nothing_of_versions(client: httpx.Client) -> None:
    answer = client.get(f"/content/{uuid.uuid4()}")
    assert "etag" not in answer.headers
    assert "server-timing" in answer.headers
