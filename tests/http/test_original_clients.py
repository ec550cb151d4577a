"""Requests of the Koa/Node original's clients, as its own tests send them.

Kept from the original:

* POST is 201 and GET, PATCH and DELETE are 200, each ``{"status":"success","data":...}``;
* field names in requests are camel case, field names in answers are lower case;
* ``releaseDate`` is any text, and flags are JSON booleans;
* a row is found by ``/content/{id}`` and by ``/content?videoId={id}``;
* PATCH or DELETE of an unknown row, or of a malformed id, is 404 with the original's message,
  also a PATCH that would change nothing.

Mended:

* an invalid POST is 422 and names each wrong field; the original answered 404;
* ``genres``, ``cast`` and ``regions`` are arrays in every answer, also with one element and also
  from Redis; the original made a text of them there, and texts of booleans and numbers;
* a DELETE answers with the id of the row.
"""

import uuid
from typing import Any

import httpx
import pytest

from tests.each import each
from tests.http.samples import MOVIE_KEYS, SERIES_KEYS, data, failure, genre_name, wrong_fields

BODIES: dict[str, dict[str, Any]] = {
    "movie": {
        "title": "The Office Party",
        "description": "An evening that nobody forgets.",
        "genres": ["Comedy", "Drama"],
        "cast": ["Ada Vale", "Noor Khan"],
        "director": "Mira Stone",
        "duration": 5400,
        "rating": "PG-13",
        "releaseDate": "07/03/07",
        "isOriginal": False,
        "isMovie": True,
        "locationURI": "https://example.com/videos/1.mp4",
        "thumbnailURL": "https://example.com/thumbnails/1.png",
        "trailerURL": "https://example.com/trailers/1.mp4",
        "regions": ["US", "CA"],
    },
    "series": {
        "title": "Nine Lives",
        "genres": ["Thriller"],
        "cast": ["Ada Vale"],
        "duration": 2700,
        "releaseDate": "November 9, 2017",
        "isOriginal": True,
        "isMovie": False,
        "regions": ["US"],
    },
}


@pytest.fixture(params=BODIES)
def body(request: pytest.FixtureRequest) -> dict[str, Any]:
    """With a genre that no other test has."""
    sent = BODIES[request.param]
    return {**sent, "genres": [*sent["genres"], genre_name()]}


def in_answers(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of ``body`` as a row has them."""
    return {
        name.lower(): sorted(value) if isinstance(value, list) else value
        for name, value in body.items()
    }


def test_a_video_lives_as_with_the_original(client: httpx.Client, body: dict[str, Any]) -> None:
    row = data(client.post("/content", json=body), 201)
    assert list(row) == (MOVIE_KEYS if body["isMovie"] else SERIES_KEYS)
    assert in_answers(body).items() <= row.items()
    path, by_query = f"/content/{row['id']}", {"videoId": row["id"]}
    for _ in range(3):  # from the store, and then from a cache
        assert data(client.get(path)) == data(client.get("/content", params=by_query)) == row
    assert row["id"] in data(client.get(f"/content/genre/{body['genres'][-1]}"))[body["genres"][-1]]

    changes = {"releaseDate": "December 1, 2018", "isOriginal": True, "cast": ["Zoë Lund"]}
    changed = data(client.patch(path, json=changes))
    assert changed == {**row, **in_answers(changes), "lastupdated": changed["lastupdated"]}
    assert changed["lastupdated"] != row["lastupdated"]
    assert data(client.get("/content", params=by_query)) == changed

    assert data(client.delete(path)) == {"id": row["id"]}
    failure(client.get(path), 404)
    failure(client.get("/content", params=by_query), 404)
    failure(client.delete(path), 404, "Could not delete a nonexistent video")


@each("video_id", [str(uuid.uuid4()), "not-an-id"])
def test_an_unknown_row_is_404_with_the_messages_of_the_original(
    client: httpx.Client, body: dict[str, Any], video_id: str
) -> None:
    path = f"/content/{video_id}"
    for changes in (body, {"releaseDate": "07/03/07"}, {}):
        failure(client.patch(path, json=changes), 404, "Could not update a nonexistent video")
    failure(client.delete(path), 404, "Could not delete a nonexistent video")
    failure(client.get(path), 404)


def test_an_invalid_video_is_422_where_the_original_said_404(client: httpx.Client) -> None:
    message = "Could not post an invalid video"
    assert wrong_fields(client.post("/content", json={}), message) == ["genres", "isMovie", "title"]
    wrong = BODIES["movie"] | {"isMovie": "true", "duration": "90", "views": 1}
    assert wrong_fields(client.post("/content", json=wrong), message) == [
        "duration",
        "isMovie",
        "views",
    ]
