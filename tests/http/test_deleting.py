"""``DELETE /content/{id}``: the row is gone by every way to ask for it."""

import uuid

import httpx

from tests.each import each
from tests.http.samples import data, failure, genre_name, post

NOBODY = "Could not delete a nonexistent video"


def test_a_deleted_row_is_gone_everywhere(client: httpx.Client) -> None:
    genres = [genre_name() for _ in range(3)]
    row, stays = post(client, genres=genres), post(client, genres=genres[:1])
    tag = client.get(f"/content/{row['id']}").headers["etag"]
    answer = client.delete(f"/content/{row['id']}")
    assert data(answer) == {"id": row["id"]}
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    for url in (
        f"/content/{row['id']}",
        f"/content/{row['id'].upper()}",
        f"/content?videoId={row['id']}",
        f"/content/genre/{genres[1]}",
        f"/content/genre/{genres[2]}",
    ):
        failure(client.get(url), 404)
        assert client.head(url).status_code == 404
    for condition in (tag, "*"):
        headers = {"If-None-Match": condition}
        failure(client.get(f"/content/{row['id']}", headers=headers), 404)
    assert data(client.get(f"/content/genre/{genres[0]}")) == {genres[0]: [stays["id"]]}
    failure(client.patch(f"/content/{row['id']}", json={"title": "x"}), 404)


def test_a_row_is_deleted_once(client: httpx.Client) -> None:
    row = post(client)
    data(client.delete(f"/content/{row['id']}"))
    for headers in ({}, {"If-Match": "*"}, {"If-Match": '"x"'}):
        failure(client.delete(f"/content/{row['id']}", headers=headers), 404, NOBODY)


def test_an_id_in_upper_case_is_the_same_row(client: httpx.Client) -> None:
    row = post(client)
    assert data(client.delete(f"/content/{row['id'].upper()}")) == {"id": row["id"]}
    failure(client.get(f"/content/{row['id']}"), 404)


@each("video_id", ["x", "0" * 32, str(uuid.uuid4()) + "0", str(uuid.uuid4())])
def test_what_names_nothing_is_not_found(client: httpx.Client, video_id: str) -> None:
    failure(client.delete(f"/content/{video_id}"), 404, NOBODY)


@each(
    ("body", "content_type"),
    [
        (b'{"lastUpdated": "x"}', "application/json"),
        (b"{", "application/json"),
        (b"a=b", "application/x-www-form-urlencoded"),
        (b"\xff\x00" * 500, "image/png"),
        (b'{"id": "00000000-0000-0000-0000-000000000000"}', "application/json"),
    ],
)
def test_a_body_is_ignored(client: httpx.Client, body: bytes, content_type: str) -> None:
    row = post(client)
    answer = client.request(
        "DELETE", f"/content/{row['id']}", content=body, headers={"content-type": content_type}
    )
    assert data(answer) == {"id": row["id"]}
    assert client.get("/healthz").status_code == 200
