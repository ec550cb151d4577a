"""``GET /content?ids=``: several rows at once are what the single reads are, byte for byte."""

import uuid
from collections.abc import Sequence

import httpx
import pytest

from tests.each import each
from tests.http.conftest import StartsService
from tests.http.samples import FULL, data, failure, genre_name, post


def several(client: httpx.Client, ids: Sequence[str]) -> httpx.Response:
    return client.get("/content?ids=" + ",".join(ids))


def single(client: httpx.Client, video_id: str) -> bytes:
    """The bytes of the row inside of its envelope; null if there is no row."""
    answer = client.get(f"/content/{video_id}")
    if answer.status_code == 404:
        return b"null"
    return answer.content.removeprefix(b'{"status":"success","data":')[:-1]


def test_rows_are_those_of_single_reads_byte_for_byte(client: httpx.Client) -> None:
    made = [post(client, **FULL), post(client, isMovie=False, seasons=2), post(client)]
    ids = [made[2]["id"], str(uuid.uuid4()), made[0]["id"], made[1]["id"]]
    answers = [several(client, ids), several(client, ids)]  # from the store, then from caches
    rows = [b'"%b":%b' % (video_id.encode(), single(client, video_id)) for video_id in ids]
    body = b'{"status":"success","data":{%b}}' % b",".join(rows)
    assert [answer.content for answer in (*answers, several(client, ids))] == [body] * 3
    assert list(data(answers[0])) == ids
    assert data(answers[0])[ids[0]] == made[2]
    assert data(answers[0])[ids[1]] is None


def test_an_id_asked_twice_in_any_case_is_there_once(client: httpx.Client) -> None:
    first, second = (post(client)["id"] for _ in range(2))
    asked = [second.upper(), first, second, first.upper()]
    answer = several(client, asked)
    assert list(data(answer)) == [second, first]
    assert answer.content.count(b'"id":') == 2  # a reader of JSON keeps one of two equal names


def test_commas_may_be_encoded(client: httpx.Client) -> None:
    ids = [post(client)["id"] for _ in range(2)]
    answer = client.get("/content", params={"ids": ",".join(ids)})
    assert "%2C" in str(answer.url)
    assert list(data(answer)) == ids


def test_a_hundred_ids_are_answered_and_one_more_is_not(client: httpx.Client) -> None:
    ids = [post(client)["id"], *(str(uuid.uuid4()) for _ in range(99))]
    found = data(several(client, ids))
    assert [video_id for video_id, row in found.items() if row] == ids[:1]
    assert len(found) == 100
    text = "ids has to be 1 to 100 ids of videos, separated by commas"
    failure(several(client, [*ids, ids[0]]), 400, text)


@each("text", ["", ",", "x", "{id},", ",{id}", "{id},x", "{id};{id}", "{id} ,{id}", '"{id}"'])
def test_malformed_ids_are_unreadable(client: httpx.Client, text: str) -> None:
    video_id = post(client)["id"]
    text = text.format(id=video_id)
    failure(client.get(f"/content?ids={text}"), 400)
    failure(client.get(f"/content?ids={video_id}&ids={video_id}"), 400)


@each("video_id", ["{id}", "", "x"])
def test_one_row_and_several_cannot_be_asked_for_together(
    client: httpx.Client, video_id: str
) -> None:
    ids = post(client)["id"]
    url = f"/content?ids={ids}&videoId={video_id.format(id=ids)}"
    failure(client.get(url), 400, "Only one of videoId and ids can be asked for")


def test_the_tag_changes_with_each_row_and_with_the_order(client: httpx.Client) -> None:
    first, second = (post(client) for _ in range(2))
    unknown = str(uuid.uuid4())
    ids = [first["id"], unknown, second["id"]]
    tags = [several(client, ids).headers["etag"] for _ in range(3)]
    assert len(set(tags)) == 1
    tags.append(several(client, ids[::-1]).headers["etag"])
    tags.append(several(client, ids[:2]).headers["etag"])
    data(client.patch(f"/content/{second['id']}", json={"title": "New"}))
    tags.append(several(client, ids).headers["etag"])
    data(client.delete(f"/content/{first['id']}"))
    tags.append(several(client, ids).headers["etag"])
    assert len(set(tags)) == 5
    assert all(tag.startswith('"') for tag in tags)


def test_a_writer_sees_its_write_at_once(client: httpx.Client) -> None:
    ids = [post(client)["id"] for _ in range(3)]
    several(client, ids)
    for title in ("two", "three"):
        several(client, ids)
        data(client.patch(f"/content/{ids[1]}", json={"title": title}))
        assert data(several(client, ids))[ids[1]]["title"] == title
    data(client.delete(f"/content/{ids[0]}"))
    assert data(several(client, ids))[ids[0]] is None


def test_an_unknown_id_is_found_once_it_was_made(client: httpx.Client) -> None:
    key = genre_name("key")
    probe = post(client, {"Idempotency-Key": key}, title="First")
    client.delete(f"/content/{probe['id']}")
    for _ in range(2):
        assert data(several(client, [probe["id"]])) == {probe["id"]: None}
    row = post(client, {"Idempotency-Key": key}, title="Second")
    assert data(several(client, [probe["id"]])) == {probe["id"]: row}


def test_the_last_layer_that_had_a_row_is_named(start_service: StartsService) -> None:
    with start_service() as service:
        client = service.client
        ids = [post(client)["id"] for _ in range(2)]
        assert "detail=store" in several(client, ids[:1]).headers["cache-status"]
        near = several(client, ids[:1])
        assert near.headers["cache-status"] == "content; hit; detail=near"
        assert int(near.headers["age"]) >= 0
        mixed = several(client, ids)
        assert mixed.headers["cache-status"] == "content; fwd=miss; detail=store"
        assert "age" not in mixed.headers
        assert 'route="/content"' in client.get("/metrics").text


@pytest.mark.parametrize("near_bytes", ["0", "1000000"])
def test_rows_are_read_with_the_lane_off_and_on(
    start_service: StartsService, near_bytes: str
) -> None:
    with start_service(FAST_LANE="0", NEAR_BYTES=near_bytes) as service:
        row = post(service.client)
        for _ in range(2):
            assert data(several(service.client, [row["id"]])) == {row["id"]: row}
