"""``Idempotency-Key``: however often a POST arrives, it makes one row."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.each import each
from tests.http.samples import data, draft, failure, genre_name


def with_key(client: httpx.Client, key: str, body: Any) -> httpx.Response:
    return client.post("/content", json=body, headers={"Idempotency-Key": key})


def test_a_retry_with_the_key_finds_the_row(client: httpx.Client) -> None:
    key, body = genre_name("key"), draft(releaseDate="1999")
    first = data(with_key(client, key, body), 201)
    respelled = {name.lower(): value for name, value in reversed(body.items())}
    for retry in (body, respelled, body | {"cast": None}):
        answer = with_key(client, key, retry)
        assert data(answer, 201) == first
        assert answer.headers["location"] == f"content/{first['id']}"
    assert data(client.get(f"/content/genre/{body['genres'][0]}")) == {
        body["genres"][0]: [first["id"]]
    }


def test_a_key_with_another_body_is_refused(client: httpx.Client) -> None:
    key, body = genre_name("key"), draft()
    first = data(with_key(client, key, body), 201)
    failure(with_key(client, key, body | {"title": "Another"}), 422)
    assert data(client.get(f"/content/{first['id']}")) == first


def test_two_keys_are_refused(client: httpx.Client) -> None:
    keys = [("Idempotency-Key", genre_name("key")) for _ in range(2)]
    (error,) = failure(client.post("/content", json=draft(), headers=keys), 422)["errors"]
    assert error["message"] == "is there more than once"


def test_a_retry_finds_the_row_as_it_is_now(client: httpx.Client) -> None:
    key, body = genre_name("key"), draft()
    first = data(with_key(client, key, body), 201)
    patched = data(client.patch(f"/content/{first['id']}", json={"title": "Later"}))
    assert data(with_key(client, key, body), 201) == patched


def test_a_late_retry_makes_a_deleted_row_again(client: httpx.Client) -> None:
    key, body = genre_name("key"), draft()
    first = data(with_key(client, key, body), 201)
    client.delete(f"/content/{first['id']}")
    again = data(with_key(client, key, body), 201)
    assert again["id"] == first["id"]
    assert again["lastupdated"] != first["lastupdated"]
    assert data(client.get(f"/content/{again['id']}")) == again


def test_a_key_is_free_for_another_body_once_its_row_is_deleted(client: httpx.Client) -> None:
    """The hash of the first body is a column of the row, and ends with it."""
    key, body = genre_name("key"), draft()
    first = data(with_key(client, key, body), 201)
    client.delete(f"/content/{first['id']}")
    again = data(with_key(client, key, body | {"title": "Another"}), 201)
    assert (again["id"], again["title"]) == (first["id"], "Another")
    failure(with_key(client, key, body), 422)


def test_twenty_equal_posts_at_once_make_one_row(client: httpx.Client) -> None:
    key, body = genre_name("key"), draft()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: with_key(client, key, body), range(20)))
    rows = [data(answer, 201) for answer in answers]
    assert len({row["id"] for row in rows}) == 1
    assert len({row["lastupdated"] for row in rows}) == 1
    assert data(client.get(f"/content/genre/{body['genres'][0]}")) == {
        body["genres"][0]: [rows[0]["id"]]
    }


@each("start", ["k", "!~ ~", '"quoted"', "a,b", "{", "x" * 219])
def test_a_key_is_any_printable_ascii(client: httpx.Client, start: str) -> None:
    key, body = f"{start}{uuid.uuid4()}", draft()
    assert data(with_key(client, key, body), 201) == data(with_key(client, key, body), 201)


@each("key", [b"", b"x" * 256, b"caf\xc3\xa9", b"a\tb", b"\xff"])
def test_a_malformed_key_is_refused(client: httpx.Client, key: bytes) -> None:
    failure(client.post("/content", json=draft(), headers=[(b"idempotency-key", key)]), 422)
