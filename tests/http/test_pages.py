"""``/uuids`` and ``/videos``: every row is met exactly once, and no cursor does harm."""

import re
import string
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.request import encode_cursor
from tests.each import each
from tests.http.conftest import StartsService
from tests.http.samples import UUID, data, failure, next_reference, post

LINK = re.compile(r'<(uuids\?limit=(\d+)&cursor=([A-Za-z0-9_-]{1,64}))>; rel="next"')


def next_url(answer: httpx.Response) -> str | None:
    """Where to go on: a relative reference with a short, opaque cursor."""
    return next_reference(answer, LINK)


def walk(client: httpx.Client, url: str | None) -> Iterator[list[str]]:
    while url is not None:
        answer = client.get(url)
        page = data(answer)
        url = next_url(answer)
        assert page or url is None  # no next that gives an empty page
        yield page


def cursor_of(client: httpx.Client) -> str:
    for _ in range(3):
        post(client)
    link = client.get("/uuids?limit=1").headers["link"]
    found = LINK.fullmatch(link)
    assert found
    return found[3]


def test_a_page_is_a_plain_array_of_ids(client: httpx.Client) -> None:
    mine = {post(client)["id"] for _ in range(3)}
    answer = client.get("/uuids")
    ids = data(answer)
    assert mine <= set(ids)
    assert len(ids) == len(set(ids)) <= 5_000
    assert all(UUID.fullmatch(video_id) for video_id in ids)
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["cache-status"].startswith("content; ")


def test_a_page_has_a_tag_that_changes_with_it(client: httpx.Client) -> None:
    post(client)
    first = client.get("/uuids?limit=10000")
    assert first.headers["etag"].startswith('"')
    assert client.head("/uuids?limit=10000").headers["etag"] == first.headers["etag"]
    data(client.delete(f"/content/{data(first)[0]}"))
    assert client.get("/uuids?limit=10000").headers["etag"] != first.headers["etag"]


@each(
    "limit",
    [
        *("0", "-1", "10001", "99999999999999999999", "x", "", "1e3", "1.0", "%20", "1%20"),
        *("%201", "+1", "0x1", "1_0", "%EF%BC%91", "%00", "1;2", "null", "true"),
    ],
)
def test_a_limit_out_of_bounds_is_unreadable(client: httpx.Client, limit: str) -> None:
    failure(client.get(f"/uuids?limit={limit}"), 400)


def test_limits_within_bounds_are_kept(client: httpx.Client) -> None:
    for _ in range(3):
        post(client)
    for limit in (1, 2, 3):
        answer = client.get(f"/uuids?limit={limit}")
        assert len(data(answer)) == limit
        assert next_url(answer)
    for limit in (9_999, 10_000):
        assert data(client.get(f"/uuids?limit={limit}"))


@pytest.mark.parametrize("name", ["limit", "cursor"])
def test_a_parameter_told_twice_is_unreadable(client: httpx.Client, name: str) -> None:
    value = cursor_of(client) if name == "cursor" else "5"
    failure(client.get(f"/uuids?{name}={value}&{name}={value}"), 400)


def test_a_walk_meets_every_row_once(client: httpx.Client) -> None:
    mine = {post(client)["id"] for _ in range(20)}
    everything = [video_id for page in walk(client, "/uuids?limit=10000") for video_id in page]
    for limit in (7, len(everything) // 2 + 1):
        pages = list(walk(client, f"/uuids?limit={limit}"))
        assert [video_id for page in pages for video_id in page] == everything
        assert {len(page) for page in pages[:-1]} <= {limit}
    assert mine <= set(everything)


def test_a_last_page_that_is_full_has_no_next(start_service: StartsService) -> None:
    with start_service() as service:
        client = service.client
        assert data(client.get("/uuids")) == []
        assert next_url(client.get("/uuids")) is None
        failure(client.get("/videos"), 404)
        ids = sorted(post(client)["id"] for _ in range(6))
        assert [len(page) for page in walk(client, "/uuids?limit=3")] == [3, 3]
        assert [len(page) for page in walk(client, "/uuids?limit=6")] == [6]
        assert [len(page) for page in walk(client, "/uuids?limit=4")] == [4, 2]
        (after_all,) = walk(client, "/uuids?cursor=" + encode_cursor(ids[-1:], "embedded"))
        assert after_all == []


def test_a_walk_outlives_what_others_do_meanwhile(client: httpx.Client) -> None:
    mine = [post(client)["id"] for _ in range(60)]
    stays, doomed = set(mine[20:]), set(mine[:20])
    met: list[str] = []
    url: str | None = "/uuids?limit=7"
    limits = ["7", "3", "11"]
    while url is not None:
        answer = client.get(url)
        page = data(answer)
        met += page
        url = next_url(answer)
        if url:
            url = re.sub(r"limit=\d+", f"limit={limits[len(met) % 3]}", url)
        last = page[-1] if page else ""
        for video_id in {last, *sorted(doomed)[:2]} & set(mine):  # the cursor's own row among them
            client.delete(f"/content/{video_id}")
            stays.discard(video_id)
            doomed.discard(video_id)
        if len(met) < 100:
            post(client)
    assert len(met) == len(set(met))
    assert stays <= set(met)
    assert len(stays) > 10


def test_a_damaged_cursor_is_unreadable(client: httpx.Client) -> None:
    cursor = cursor_of(client)
    assert data(client.get(f"/uuids?cursor={cursor}"))
    for place, character in enumerate(cursor):
        letters = string.ascii_letters + string.digits + "-_"
        other = letters[(letters.index(character) + 1) % len(letters)]
        damaged = cursor[:place] + other + cursor[place + 1 :]
        failure(client.get(f"/uuids?cursor={damaged}"), 400)


def test_every_other_text_than_the_cursor_is_unreadable(client: httpx.Client) -> None:
    cursor = cursor_of(client)
    cut = [cursor[:length] for length in range(len(cursor))]
    grown = [cursor + tail for tail in ("A", "=", "==", "%20", "%0A", "%00", "/", "A" * 1_000)]
    turned = [cursor.swapcase(), cursor[::-1], "%20" + cursor, "+" + cursor, f'"{cursor}"']
    others = ["x", "null", "%FF", "🎬", "00000000-0000-0000-0000-000000000000", "===="]
    for text in (*cut, *grown, *turned, *others):
        failure(client.get(f"/uuids?cursor={text}"), 400)


def test_a_cursor_from_elsewhere_is_unreadable(
    client: httpx.Client, request: pytest.FixtureRequest
) -> None:
    name = "embedded" if "CASSANDRA_HOST" not in settings_of(request) else "cassandra"
    video_id = post(client)["id"]
    data(client.get(f"/uuids?cursor={encode_cursor([video_id], name)}"))
    for other in {"embedded", "cassandra", "", "x"} - {name}:
        failure(client.get(f"/uuids?cursor={encode_cursor([video_id], other)}"), 400)


def settings_of(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("service").environment()


def test_a_random_id_is_that_of_a_row(client: httpx.Client) -> None:
    for _ in range(4):
        post(client)
    drawn = set()
    for _ in range(40):
        answer = client.get("/videos")
        video_id = data(answer)
        assert data(client.get(f"/content/{video_id}"))["id"] == video_id
        assert answer.headers["cache-control"] == "no-store"
        drawn.add(video_id)
    assert len(drawn) > 1
