"""Pages of a genre and ``/genres``: every video of every genre can be found."""

import re
import uuid
from collections.abc import Iterator
from urllib.parse import quote, urljoin

import httpx
import pytest

from api.request import encode_cursor
from db.version import next_version
from tests.each import each
from tests.http.conftest import StartsService
from tests.http.samples import data, failure, genre_name, next_reference, post

LINK = re.compile(r'<(\?limit=(\d+)&cursor=([A-Za-z0-9_-]{48}))>; rel="next"')


def path_of(genre: str) -> str:
    return f"/content/genre/{quote(genre, safe='')}"


def next_url(answer: httpx.Response) -> str | None:
    reference = next_reference(answer, LINK)
    return reference and urljoin(str(answer.url), reference)


def walk(client: httpx.Client, url: str | None, genre: str) -> Iterator[list[str]]:
    while url is not None:
        answer = client.get(url)
        page = data(answer)
        assert list(page) == [genre]
        url = next_url(answer)
        assert page[genre] or url is None
        yield page[genre]


def cursor_of(client: httpx.Client, genre: str) -> str:
    for _ in range(2):
        post(client, genres=[genre])
    found = LINK.fullmatch(client.get(f"{path_of(genre)}?limit=1").headers["link"])
    assert found
    return found[3]


def test_pages_have_every_video_newest_first(client: httpx.Client) -> None:
    genre = genre_name("a/b: ü")
    ids = [post(client, genres=[genre, "Other"])["id"] for _ in range(33)][::-1]
    for limit, sizes in ((100, [33]), (33, [33]), (16, [16, 16, 1]), (11, [11] * 3)):
        pages = list(walk(client, f"{path_of(genre)}?limit={limit}", genre))
        assert [len(page) for page in pages] == sizes
        assert [video_id for page in pages for video_id in page] == ids
    with_slash = f"/content/genre/{quote(genre)}?limit=20"
    assert [len(page) for page in walk(client, with_slash, genre)] == [20, 13]


def test_the_plain_list_is_the_newest_thirty_without_a_link(client: httpx.Client) -> None:
    genre = genre_name()
    ids = [post(client, genres=[genre])["id"] for _ in range(31)][::-1]
    for query in ("", "?", "?other=1"):
        plain = client.get(path_of(genre) + query)
        assert data(plain) == {genre: ids[:30]}
        assert "link" not in plain.headers
    page = client.get(f"{path_of(genre)}?limit=30")
    assert page.content == plain.content
    rest = client.get(str(next_url(page)))
    assert data(rest) == {genre: ids[30:]}
    by_default = re.sub("limit=30&", "", str(next_url(page)))
    assert client.get(by_default).content == rest.content


def test_a_page_has_a_tag_that_changes_with_it(client: httpx.Client) -> None:
    genre = genre_name()
    post(client, genres=[genre])
    url = f"{path_of(genre)}?limit=5"
    first = client.get(url)
    assert client.head(url).headers["etag"] == first.headers["etag"]
    assert client.get(url, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["cache-status"] == "content; fwd=miss; detail=store"
    post(client, genres=[genre])
    assert client.get(url).headers["etag"] != first.headers["etag"]


def test_a_page_begins_behind_a_row_that_is_gone(client: httpx.Client) -> None:
    genre = genre_name()
    ids = [post(client, genres=[genre])["id"] for _ in range(4)][::-1]
    url = next_url(client.get(f"{path_of(genre)}?limit=2"))
    assert url
    for video_id in ids[:2]:
        data(client.delete(f"/content/{video_id}"))
    assert data(client.get(url)) == {genre: ids[2:]}
    for video_id in ids[2:]:
        data(client.delete(f"/content/{video_id}"))
    assert data(client.get(url)) == {genre: []}
    failure(client.get(f"{path_of(genre)}?limit=2"), 404)


@each("query", ["limit=1", "limit=100", "limit=30&cursor="])
def test_a_page_of_an_unknown_genre_is_not_found(client: httpx.Client, query: str) -> None:
    status = 400 if "cursor" in query else 404
    failure(client.get(f"{path_of(genre_name())}?{query}"), status)
    failure(client.get(f"/content/genre/{'x' * 101}?limit=1"), 404)


@each("limit", ["0", "-1", "101", "9" * 20, "x", "", "1.0", "%201", "+1", "5&limit=5"])
def test_a_limit_out_of_bounds_is_unreadable(client: httpx.Client, limit: str) -> None:
    genre = genre_name()
    post(client, genres=[genre])
    failure(client.get(f"{path_of(genre)}?limit={limit}"), 400)


def test_every_other_text_than_the_cursor_is_unreadable(client: httpx.Client) -> None:
    genre = genre_name()
    cursor = cursor_of(client, genre)
    data(client.get(f"{path_of(genre)}?cursor={cursor}"))
    cut = [cursor[:length] for length in range(0, len(cursor), 5)]
    others = [cursor + "A", cursor + "=", cursor[::-1], cursor.swapcase(), "x", "%FF", "===="]
    for text in (*cut, *others, f"{cursor}&cursor={cursor}"):
        failure(client.get(f"{path_of(genre)}?cursor={text}"), 400)


def test_a_cursor_from_elsewhere_is_unreadable(
    client: httpx.Client, request: pytest.FixtureRequest
) -> None:
    settings = request.getfixturevalue("service").environment()
    name = "cassandra" if "CASSANDRA_HOST" in settings else "embedded"
    genre, other = genre_name(), genre_name()
    cursor = cursor_of(client, genre)
    post(client, genres=[other])
    place = [next_version(), str(uuid.uuid4())]
    newest = encode_cursor(place, name, genre)  # made by a caller, and newer than every row
    assert len(data(client.get(f"{path_of(genre)}?cursor={newest}"))[genre]) == 2
    for wrong in (
        encode_cursor(place, name, other),
        encode_cursor(place, name),
        encode_cursor(place, "x", genre),
        encode_cursor(place[1:], name, genre),
        encode_cursor([*place, place[1]], name, genre),
        encode_cursor([str(uuid.uuid4()), place[1]], name, genre),  # no timeuuid
    ):
        failure(client.get(f"{path_of(genre)}?cursor={wrong}"), 400)
    failure(client.get(f"{path_of(other)}?cursor={cursor}"), 400)
    failure(client.get(f"/uuids?cursor={cursor}"), 400)


def test_genres_are_all_there_sorted(start_service: StartsService) -> None:
    with start_service() as service:
        client = service.client
        empty = client.get("/genres")
        assert data(empty) == []
        row = post(client, genres=["b", "ü", "B"])
        post(client, genres=["a/b", "b"])
        answer = client.get("/genres")
        assert data(answer) == ["B", "a/b", "b", "ü"]
        assert answer.headers["etag"] != empty.headers["etag"]
        assert answer.headers["cache-control"] == "no-cache"
        known = {"If-None-Match": answer.headers["etag"]}
        assert client.get("/genres", headers=known).status_code == 304
        assert client.head("/genres").headers["etag"] == answer.headers["etag"]
        data(client.delete(f"/content/{row['id']}"))
        assert set(data(client.get("/genres"))) >= {"a/b", "b"}


def test_a_page_has_no_layer_in_the_metrics(start_service: StartsService) -> None:
    with start_service() as service:
        service.client.get("/uuids")
        assert (
            'layer="",method="GET",outcome="ok",route="/uuids"'
            in service.client.get("/metrics").text
        )
