"""``If-None-Match`` on writes and ``If-Match`` on reads (RFC 9110, 13.1), by every door."""

import uuid
from typing import Any

import httpx
import pytest

from tests.each import each
from tests.http.samples import data, draft, failure, post

TAG = "{tag}"
REFUSING = ["*", TAG, f"W/{TAG}", f'"x", {TAG}', f'W/"x" ,W/{TAG}', f'"a,b",{TAG}']
PASSING = ['"x"', 'W/"x", "y"', '""', "", ",", "x", "**", '"*"']


def tag_of(row: Any) -> str:
    return f'"{row["lastupdated"]}.2"'


def write(
    client: httpx.Client, method: str, row_id: str, headers: Any, **fields: Any
) -> httpx.Response:
    body = {"title": "New", **fields} if method == "PATCH" else None
    return client.request(method, f"/content/{row_id}", json=body, headers=headers)


@each("method", ["PATCH", "DELETE"])
@each("condition", REFUSING)
def test_a_write_is_refused_where_the_row_is(
    client: httpx.Client, method: str, condition: str
) -> None:
    row = post(client)
    told = {"If-None-Match": condition.format(tag=tag_of(row))}
    answer = write(client, method, row["id"], told)
    assert failure(answer, 412) == {"lastupdated": row["lastupdated"]}
    assert answer.headers["etag"] == tag_of(row)
    assert data(client.get(f"/content/{row['id']}")) == row


@each("method", ["PATCH", "DELETE"])
@each("condition", PASSING)
def test_a_write_goes_on_where_no_tag_matches(
    client: httpx.Client, method: str, condition: str
) -> None:
    row = post(client)
    data(write(client, method, row["id"], {"If-None-Match": condition}))


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_an_unknown_row_is_unknown_whatever_the_condition(
    client: httpx.Client, method: str
) -> None:
    for condition in ("*", '"x"'):
        for row_id in (str(uuid.uuid4()), "x"):
            failure(write(client, method, row_id, {"If-None-Match": condition}), 404)


def test_both_conditions_have_to_hold(client: httpx.Client) -> None:
    row = post(client)
    tag = tag_of(row)
    for match, none_match in ((tag, tag), (tag, "*"), ('"x"', '"x"'), ("*", "*")):
        told = {"If-Match": match, "If-None-Match": none_match}
        failure(write(client, "PATCH", row["id"], told), 412)
    told = {"If-Match": tag, "If-None-Match": '"x"'}
    stale = write(client, "PATCH", row["id"], told, lastUpdated=str(uuid.uuid1()))
    failure(stale, 412)
    data(write(client, "PATCH", row["id"], told))


def test_a_new_row_never_exists_before(client: httpx.Client) -> None:
    key, body = str(uuid.uuid4()), draft()
    for condition in ("*", '"x"'):
        made = client.post("/content", json=draft(), headers={"If-None-Match": condition})
        data(made, 201)
    rows = [
        client.post(
            "/content", json=body, headers={"If-None-Match": "*", "Idempotency-Key": key}
        ).json()
        for _ in range(2)
    ]
    assert rows[0] == rows[1]  # a retry is the first request, not another one


def test_a_row_that_is_not_there_yet_matches_nothing(client: httpx.Client) -> None:
    before = post(client)["genres"][0]
    for condition in ("*", '"x"', ""):
        body = draft(genres=[before])
        failure(client.post("/content", json=body, headers={"If-Match": condition}), 412)
    assert len(data(client.get(f"/content/genre/{before}"))[before]) == 1


def test_dates_and_ranges_are_no_conditions(client: httpx.Client) -> None:
    row = post(client)
    dates = {
        "If-Modified-Since": "Wed, 21 Oct 2065 07:28:00 GMT",
        "If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT",
        "If-Range": '"x"',
        "Range": "bytes=0-3",
    }
    for _ in range(2):
        assert data(client.get(f"/content/{row['id']}", headers=dates)) == row
    data(write(client, "PATCH", row["id"], dates))
    data(write(client, "DELETE", row["id"], dates))


DOORS = ["/content/{id}", "/content?videoId={id}", "/content/genre/{genre}", "/uuids?limit=2"]
DOORS += ["/content/{upper}", "/content?ids={id},{id}", "/content/genre/{genre}?limit=2"]
DOORS += ["/openapi.json", "/docs"]


@each("method", ["GET", "HEAD"])
@each("door", DOORS)
def test_if_match_holds_on_reads_by_every_door(
    client: httpx.Client, door: str, method: str
) -> None:
    row = post(client)
    door = door.format(id=row["id"], upper=row["id"].upper(), genre=row["genres"][0])

    def ask(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.request(method, door, headers={"Accept-Encoding": "identity", **named})

    tag = ask().headers["etag"]
    for _ in range(3):  # from the store, then from each layer of cache
        for condition in ("*", tag, f'"x", {tag}'):
            assert ask(If_Match=condition).status_code == 200
            assert ask(If_Match=condition, If_None_Match=tag).status_code == 304
            assert ask(If_Match=condition, If_None_Match='"x"').status_code == 200
        for condition in ('"x"', f"W/{tag}", "", tag.strip('"')):
            refused = ask(If_Match=condition, If_None_Match=tag)
            assert (refused.status_code, refused.headers["etag"]) == (412, tag)
            if method == "GET":
                assert failure(refused, 412) == {}


def test_if_match_is_not_asked_of_other_statuses(client: httpx.Client) -> None:
    row = post(client)
    told = {"If-Match": '"x"', "If-None-Match": "*"}
    for method, path, status in (
        ("OPTIONS", f"/content/{row['id']}", 204),
        ("PUT", f"/content/{row['id']}", 405),
        ("GET", f"/content/{uuid.uuid4()}", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/uuids?limit=0", 400),
        ("GET", "/home", 200),
        ("GET", "/healthz", 200),
    ):
        assert client.request(method, path, headers=told).status_code == status, path
