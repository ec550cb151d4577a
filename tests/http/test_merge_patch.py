"""PATCH by RFC 7396 and RFC 5789: media types, ``Accept-Patch``, and the order of checks."""

import json
import uuid

import httpx
import pytest

from tests.each import each
from tests.http.samples import data, draft, failure, post, wrong_fields

MERGE = "application/merge-patch+json"
ACCEPTED = f"application/json, {MERGE}"
BOM = b"\xef\xbb\xbf"
UNKNOWN = "Could not update a nonexistent video"


def patch(client: httpx.Client, path: str, body: bytes, content_type: str) -> httpx.Response:
    return client.patch(path, content=body, headers={"Content-Type": content_type})


@each(
    "content_type",
    [MERGE, "Application/Merge-Patch+JSON", f"{MERGE};charset=utf-8", "application/json"],
)
def test_a_merge_patch_clears_and_replaces(client: httpx.Client, content_type: str) -> None:
    row = post(client, cast=["Ada"], rating="PG")
    path = f"/content/{row['id']}"
    changed = data(patch(client, path, b'{"rating":null,"cast":["Noor"]}', content_type))
    assert (changed["rating"], changed["cast"]) == (None, ["Noor"])


def test_what_a_patch_may_be_is_told(client: httpx.Client) -> None:
    path = f"/content/{post(client)['id']}"
    assert client.options(path).headers["accept-patch"] == ACCEPTED
    for content_type in ("text/plain", "application/json-patch+json", f"{MERGE};charset=latin-1"):
        refused = patch(client, path, b"{}", content_type)
        failure(refused, 415)
        if "charset" not in content_type:
            assert refused.headers["accept-patch"] == ACCEPTED


def test_what_is_no_patch_is_told_nothing_of_it(client: httpx.Client) -> None:
    for path in ("/content", "/home", "/uuids"):
        assert "accept-patch" not in client.options(path).headers
    refused = client.post("/content", content=b"{}", headers={"Content-Type": MERGE})
    failure(refused, 415)
    assert "accept-patch" not in refused.headers


def test_a_byte_order_mark_is_skipped(client: httpx.Client) -> None:
    body = BOM + json.dumps(draft(title="\ufeffx")).encode()
    row = data(client.post("/content", content=body), 201)
    assert row["title"] == "\ufeffx"
    path = f"/content/{row['id']}"
    assert data(patch(client, path, BOM + b'{"rating":"PG"}', MERGE))["rating"] == "PG"
    failure(client.post("/content", content=BOM), 400)
    failure(client.post("/content", content=BOM * 2 + b"{}"), 400)


@pytest.mark.parametrize("body", ["{}", '{"id":"{id}"}', '{"lastUpdated":"{version}"}'])
def test_an_unknown_row_comes_before_nothing_to_change(client: httpx.Client, body: str) -> None:
    unknown = str(uuid.uuid4())
    text = body.replace("{id}", unknown).replace("{version}", str(uuid.uuid1()))
    for condition in ({}, {"If-Match": '"x"'}, {"If-None-Match": "*"}):
        answer = client.patch(f"/content/{unknown}", content=text, headers=condition)
        assert failure(answer, 404, UNKNOWN) == {}


def test_nothing_to_change_comes_before_conditions(client: httpx.Client) -> None:
    row = post(client)
    path = f"/content/{row['id']}"
    for headers in ({"If-Match": '"x"'}, {"If-None-Match": "*"}):
        assert wrong_fields(client.patch(path, json={}, headers=headers)) == [""]
    assert wrong_fields(client.patch(path, json={"lastUpdated": str(uuid.uuid1())})) == [""]
    assert data(client.get(path)) == row


def test_wrong_fields_come_before_an_unknown_row(client: httpx.Client) -> None:
    answer = client.patch(f"/content/{uuid.uuid4()}", json={"rating": 5})
    assert wrong_fields(answer) == ["rating"]
