"""What every store does with a row: the same bytes, in the same order of versions."""

import os
import time
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import fields
from db.fields import COLUMNS, DATE_MAX, INT32_MAX, TEXT_MAX
from db.store import CatalogueStore, Written
from db.version import Expected, make_version, new_id, version_us
from db.video import Changes, build, parse_draft
from errors import Invalid, NotFound
from tests.db.samples import draft, genre_name, listed, loaded, long_ago

ANY = Expected()
FULL: dict[str, Any] = {
    "title": "Amélie 🎬",
    "description": "🎞" * TEXT_MAX,
    "cast": ["Ωmega", "alpha", "Beta", "🎭", "ﬀ"],
    "director": "a|b,\"c\"\\d\n\t'e'",
    "duration": INT32_MAX,
    "rating": "",
    "releaseDate": "🎞" * DATE_MAX,
    "isOriginal": False,
    "locationURI": "https://example.com/a%20b?c=d&e",
    "regions": ["US"],
}


async def read(store: CatalogueStore, video_id: str) -> bytes:
    return orjson.dumps(await store.video(video_id))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="only what is required"),
        pytest.param(FULL, id="every field of a movie"),
        pytest.param(
            {**FULL, "isMovie": False, "seasons": INT32_MAX}, id="every field of a series"
        ),
        pytest.param({"isMovie": False}, id="a series of unknown length"),
        pytest.param({"cast": [], "regions": []}, id="empty arrays"),
    ],
)
async def test_a_row_comes_back_as_the_same_bytes(
    store: CatalogueStore, fields: dict[str, Any]
) -> None:
    video_id, values = new_id(), draft(**fields)
    row = await store.create(video_id, values, None)
    expected = build(video_id, row["lastupdated"], values)
    assert orjson.dumps(row) == orjson.dumps(expected) == await read(store, video_id)


async def test_keys_are_in_order_and_seasons_is_on_series_only(store: CatalogueStore) -> None:
    for is_movie, keys in ((True, COLUMNS[:-1]), (False, COLUMNS)):
        row = await store.create(new_id(), draft(isMovie=is_movie), None)
        assert tuple(await store.video(row["id"])) == keys


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
numbers = st.integers(0, INT32_MAX) | st.none()
bodies = st.fixed_dictionaries(
    {
        "title": texts.filter(lambda text: bool(text.strip())),
        "genres": st.lists(texts.filter(fields.genre_name), min_size=1, max_size=5),
        "isMovie": st.booleans(),
    },
    optional={
        **dict.fromkeys(
            ("description", "director", "rating", "releaseDate", "locationURI"), texts | st.none()
        ),
        **dict.fromkeys(("cast", "regions"), st.lists(texts, max_size=5) | st.none()),
        "duration": numbers,
        "isOriginal": st.booleans() | st.none(),
        "seasons": numbers,
    },
).map(lambda body: {**body, "seasons": None} if body["isMovie"] else body)


@given(body=bodies)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_valid_draft_comes_back_byte_for_byte(
    store: CatalogueStore, body: dict[str, Any]
) -> None:
    video_id, values = new_id(), parse_draft(body)
    row = await store.create(video_id, values, None)
    assert await read(store, video_id) == orjson.dumps(build(video_id, row["lastupdated"], values))
    for genre in values["genres"]:
        assert (await store.genre(genre))[0] == video_id


async def test_an_absent_row_is_not_found(store: CatalogueStore) -> None:
    with pytest.raises(NotFound):
        await store.video(new_id())
    with pytest.raises(NotFound, match="Could not update a nonexistent video"):
        await store.update(new_id(), Changes({"title": "x"}), ANY)
    with pytest.raises(NotFound, match="Could not delete a nonexistent video"):
        await store.delete(new_id(), ANY)


async def test_a_retry_finds_the_row_as_it_is_now(store: CatalogueStore) -> None:
    video_id, genre = new_id(), genre_name()
    first = await store.create(video_id, draft(genre), "hash")
    assert await store.create(video_id, draft(genre), "hash") == first
    await store.update(video_id, Changes({"title": "New"}), ANY)
    again = await store.create(video_id, draft(genre), "hash")
    assert again["title"] == "New"
    assert orjson.dumps(again) == await read(store, video_id)
    assert await store.genre(genre) == [video_id]


@pytest.mark.parametrize(("first", "second"), [("a", "b"), ("a", None), (None, "a"), (None, None)])
async def test_another_request_with_the_same_id_is_refused(
    store: CatalogueStore, first: str | None, second: str | None
) -> None:
    other = genre_name()
    row = await store.create(new_id(), draft(), first)
    with pytest.raises(Invalid, match="The Idempotency-Key was used with another body"):
        await store.create(row["id"], draft(other, title="Other"), second)
    assert await store.video(row["id"]) == row
    assert await listed(store, other) == []


async def test_a_deleted_id_can_be_created_again(store: CatalogueStore) -> None:
    genre = genre_name()
    row = await store.create(new_id(), draft(genre), "hash")
    await store.delete(row["id"], ANY)
    again = await store.create(row["id"], draft(genre, title="Again"), "another hash")
    assert await store.video(row["id"]) == again
    assert again["lastupdated"] != row["lastupdated"]
    assert await store.genre(genre) == [row["id"]]
    assert await store.delete(row["id"], ANY) == Written(again, None)
    assert await listed(store, genre) == []


async def test_an_update_says_what_it_found_and_what_it_left(store: CatalogueStore) -> None:
    before = await store.create(new_id(), draft(duration=5, isMovie=False, seasons=2), None)
    changes = Changes({"title": "New", "duration": None, "cast": ["b"], "ismovie": True})
    written = await store.update(before["id"], changes, ANY)
    after = await store.video(before["id"])
    assert written == Written(before, after)
    assert "seasons" not in after
    assert after == {
        **{key: value for key, value in before.items() if key != "seasons"},
        **changes.values,
        "lastupdated": after["lastupdated"],
    }


async def test_a_movie_gets_no_seasons(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(), None)
    with pytest.raises(Invalid):
        await store.update(row["id"], Changes({"seasons": 1}), ANY)
    assert await store.video(row["id"]) == row


async def test_a_cleared_field_stays_cleared(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(**FULL), None)
    cleared: dict[str, Any] = {
        "description": None,
        "cast": [],
        "regions": [],
        "isoriginal": None,
        "duration": None,
    }
    await store.update(row["id"], Changes(cleared), ANY)
    found = await store.video(row["id"])
    assert {key: found[key] for key in cleared} == cleared


async def test_a_delete_says_what_it_found(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(), None)
    assert await store.delete(row["id"], ANY) == Written(row, None)
    with pytest.raises(NotFound):
        await store.video(row["id"])
    with pytest.raises(NotFound):
        await store.delete(row["id"], ANY)


async def test_versions_increase_with_every_write(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(), None)
    versions = [version_us(row["lastupdated"])]
    for number in range(5):
        written = await store.update(row["id"], Changes({"duration": number}), ANY)
        assert written.after is not None
        versions.append(version_us(written.after["lastupdated"]))
    assert versions == sorted(set(versions))


async def test_a_version_from_the_future_is_still_followed_by_a_later_one(
    store: CatalogueStore,
) -> None:
    old, new = genre_name(), genre_name()
    future_us = time.time_ns() // 1_000 + 86_400_000_000
    version = make_version(future_us, os.urandom(8))
    stored = loaded(long_ago(), old, lastupdated=version)
    await store.load([stored])
    written = await store.update(stored.row["id"], Changes({"genres": [new]}), ANY)
    assert written.after is not None
    assert version_us(written.after["lastupdated"]) > future_us
    assert await store.video(stored.row["id"]) == written.after
    assert (await listed(store, old), await store.genre(new)) == ([], [stored.row["id"]])
