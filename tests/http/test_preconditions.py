"""``If-Match`` and ``lastUpdated``: a write that its caller wants only on the row it has seen."""

import uuid
from typing import Any

import httpx
import pytest

from tests.each import each
from tests.http.samples import data, failure, post, wrong_fields


def write(client: httpx.Client, method: str, row: Any, tag: str, **fields: Any) -> httpx.Response:
    headers = {"If-Match": tag}
    if method == "DELETE":
        return client.delete(f"/content/{row['id']}", headers=headers)
    body = {"title": "New", **fields}
    return client.patch(f"/content/{row['id']}", json=body, headers=headers)


def not_done(client: httpx.Client, answer: httpx.Response, row: Any) -> None:
    """The 412 that says which version the row has, which it still has."""
    assert failure(answer, 412) == {"lastupdated": row["lastupdated"]}
    assert answer.headers["etag"] == f'"{row["lastupdated"]}.2"'
    assert data(client.get(f"/content/{row['id']}")) == row


def other_version() -> str:
    return str(uuid.uuid1())


HOLDING = [
    "*",
    '"{version}.2"',
    '"other", "{version}.2"',
    '"{version}.2","other"',
    '"a,b", "{version}.2"',
    'W/"x", "{version}.2"',
    '"{version}.17"',  # another release's representation of the same version
]
FAILING = [
    '"{other}.2"',
    'W/"{version}.2"',
    'W/"{version}.2", W/"{version}.2"',
    '"x"',
    '""',
    "{version}.2",
    "{version}",
    '"{version}.1',
    '"{version}.x"',
    '"x{version}.2"',
    "garbage",
    '"*"',
    "**",
    ",",
]


@each("method", ["PATCH", "DELETE"])
@each("condition", HOLDING)
def test_a_condition_that_holds_lets_the_write_through(
    client: httpx.Client, method: str, condition: str
) -> None:
    row = post(client)
    tag = condition.format(version=row["lastupdated"])
    data(write(client, method, row, tag))
    read = client.get(f"/content/{row['id']}")
    if method == "DELETE":
        failure(read, 404)
    else:
        assert data(read)["title"] == "New"


@each("method", ["PATCH", "DELETE"])
@each("condition", FAILING)
def test_a_condition_that_fails_changes_nothing(
    client: httpx.Client, method: str, condition: str
) -> None:
    row = post(client)
    tag = condition.format(version=row["lastupdated"], other=other_version())
    not_done(client, write(client, method, row, tag), row)


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_an_empty_condition_matches_nothing(client: httpx.Client, method: str) -> None:
    row = post(client)
    not_done(client, write(client, method, row, ""), row)


def test_the_tag_of_every_answer_can_be_gone_on_with(client: httpx.Client) -> None:
    made = client.post("/content", json={"title": "x", "genres": ["x"], "isMovie": True})
    row = data(made, 201)
    changed = write(client, "PATCH", row, made.headers["etag"])
    assert data(changed)["title"] == "New"
    read = client.get(f"/content/{row['id']}")
    assert read.headers["etag"] == changed.headers["etag"]
    failure(write(client, "PATCH", row, made.headers["etag"]), 412)
    again = write(client, "PATCH", row, read.headers["etag"])
    refused = write(client, "DELETE", row, read.headers["etag"])
    assert refused.headers["etag"] == again.headers["etag"]
    data(write(client, "DELETE", row, refused.headers["etag"]))


def test_a_condition_may_come_in_two_lines(client: httpx.Client) -> None:
    row = post(client)
    tags = [("If-Match", '"x"'), ("If-Match", f'"{row["lastupdated"]}.2"')]
    data(client.patch(f"/content/{row['id']}", json={"title": "New"}, headers=tags))


@pytest.mark.parametrize("name", ["lastUpdated", "lastupdated", "LASTUPDATED"])
def test_last_updated_makes_a_change_conditional(client: httpx.Client, name: str) -> None:
    row = post(client)
    url = f"/content/{row['id']}"
    not_done(client, client.patch(url, json={"title": "New", name: other_version()}), row)
    now = data(client.patch(url, json={"title": "New", name: row["lastupdated"]}))
    not_done(client, client.patch(url, json={"title": "Old", name: row["lastupdated"]}), now)
    data(client.patch(url, json={"title": "Newer", name: now["lastupdated"].upper()}))


def test_both_conditions_must_hold(client: httpx.Client) -> None:
    row = post(client)
    version, other = row["lastupdated"], other_version()
    tag, wrong = f'"{version}.2"', f'"{other}.2"'
    for given, told in ((tag, other), (wrong, version), (wrong, other), ("*", other)):
        not_done(client, write(client, "PATCH", row, given, lastUpdated=told), row)
    data(write(client, "PATCH", row, tag, lastUpdated=version))


@each("value", ["", "x", None, 5, True, [], "{uuid4}", "{version} "])
def test_a_malformed_last_updated_is_refused(client: httpx.Client, value: Any) -> None:
    row = post(client)
    if isinstance(value, str):
        value = value.format(uuid4=uuid.uuid4(), version=row["lastupdated"])
    body = {"title": "New", "lastUpdated": value}
    assert wrong_fields(client.patch(f"/content/{row['id']}", json=body)) == ["lastUpdated"]


def test_two_spellings_of_last_updated_are_refused(client: httpx.Client) -> None:
    row = post(client)
    version = row["lastupdated"]
    body = {"title": "New", "lastUpdated": version, "lastupdated": version}
    assert len(wrong_fields(client.patch(f"/content/{row['id']}", json=body))) == 1


def test_a_body_is_checked_before_conditions(client: httpx.Client) -> None:
    row = post(client)
    url, stale = f"/content/{row['id']}", {"If-Match": '"x"'}
    failure(client.patch(url, content=b"{", headers=stale), 400)
    assert wrong_fields(client.patch(url, json={"title": 5}, headers=stale)) == ["title"]
    not_done(client, client.patch(url, json={"title": "New"}, headers=stale), row)
