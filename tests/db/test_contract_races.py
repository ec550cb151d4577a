"""What every store does when writes have a condition, meet each other, or lose their caller."""

import asyncio
from typing import Any

import pytest

from db.store import CatalogueStore, Written
from db.version import Expected, etag, new_id, next_version, version_us
from db.video import Changes
from errors import Conflict, NotFound, PreconditionFailed
from tests.db.samples import draft, eventually, genre_name, listed

ANY = Expected()


def holding(row: dict[str, Any]) -> list[Expected]:
    tag, version, wrong = etag(row), row["lastupdated"], etag({"lastupdated": next_version()})
    return [
        Expected(),
        Expected(tag),
        Expected(f"{wrong}, {tag}"),
        Expected(last_updated=version),
        Expected(tag, version),
        Expected(if_none_match=wrong),
        Expected(tag, version, wrong),
    ]


def failing(row: dict[str, Any]) -> list[Expected]:
    tag, version, other = etag(row), row["lastupdated"], next_version(after=row["lastupdated"])
    wrong = etag({"lastupdated": other})
    return [
        Expected(""),
        Expected(wrong),
        Expected("W/" + tag),
        Expected(last_updated=other),
        Expected(tag, other),
        Expected(wrong, version),
        Expected(if_none_match="*"),
        Expected(if_none_match="W/" + tag),
        Expected(tag, version, tag),
    ]


async def test_a_condition_that_holds_lets_the_write_through(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(), None)
    for number in range(len(holding(row))):
        written = await store.update(
            row["id"], Changes({"duration": number}), holding(await store.video(row["id"]))[number]
        )
        assert written.after is not None
        assert written.after["duration"] == number
    for number in range(len(holding(row))):
        row = await store.create(new_id(), draft(), None)
        assert await store.delete(row["id"], holding(row)[number]) == Written(row, None)


async def test_a_condition_that_fails_changes_nothing(store: CatalogueStore) -> None:
    genre = genre_name()
    row = await store.create(new_id(), draft(genre), None)
    for expected in failing(row):
        with pytest.raises(PreconditionFailed) as update:
            await store.update(row["id"], Changes({"genres": [genre_name()]}), expected)
        with pytest.raises(PreconditionFailed):
            await store.delete(row["id"], expected)
        assert update.value.details["lastupdated"] == row["lastupdated"]
    assert await store.video(row["id"]) == row
    assert await store.genre(genre) == [row["id"]]


async def test_equal_requests_at_once_make_one_row(store: CatalogueStore) -> None:
    video_id, genre = new_id(), genre_name()
    rows = await asyncio.gather(
        *(store.create(video_id, draft(genre), "hash") for _ in range(10)), return_exceptions=True
    )
    made = [row for row in rows if not isinstance(row, Conflict)]
    assert made
    assert made == [await store.video(video_id)] * len(made)
    assert await store.genre(genre) == [video_id]


async def test_of_many_conditional_updates_at_once_one_holds(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(), None)
    seen = Expected(last_updated=row["lastupdated"])
    results = await asyncio.gather(
        *(store.update(row["id"], Changes({"duration": n}), seen) for n in range(20)),
        return_exceptions=True,
    )
    held = [result for result in results if isinstance(result, Written)]
    lost = [result for result in results if isinstance(result, (PreconditionFailed, Conflict))]
    assert (len(held), len(lost)) == (1, 19)
    assert await store.video(row["id"]) == held[0].after


async def test_updates_at_once_are_one_after_another(store: CatalogueStore) -> None:
    """Each that holds found the row that another one left: none is lost."""
    row = await store.create(new_id(), draft(), None)
    results = await asyncio.gather(
        *(store.update(row["id"], Changes({"duration": n}), ANY) for n in range(20)),
        return_exceptions=True,
    )
    held = [result for result in results if isinstance(result, Written)]
    assert held
    assert all(isinstance(result, (Written, Conflict)) for result in results)
    chain = sorted(held, key=lambda written: version_us((written.after or row)["lastupdated"]))
    for earlier, later in zip([Written(None, row), *chain], chain, strict=False):
        assert later.before == earlier.after
    assert await store.video(row["id"]) == chain[-1].after


@pytest.mark.parametrize("pauses", range(6))
async def test_a_cancelled_create_leaves_all_or_nothing(store: CatalogueStore, pauses: int) -> None:
    genres = sorted(genre_name() for _ in range(3))
    video_id, values = new_id(), draft(*genres)
    task = asyncio.create_task(store.create(video_id, values, "hash"))
    await asyncio.sleep(0)
    for _ in range(pauses):
        await asyncio.sleep(0.0002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    async def whole() -> bool:
        named = [await listed(store, genre) == [video_id] for genre in genres]
        there = not isinstance(
            (await asyncio.gather(store.video(video_id), return_exceptions=True))[0], NotFound
        )
        return set(named) == {there}

    await eventually(whole)
    row = await store.create(video_id, values, "hash")
    assert await store.video(video_id) == row
    await eventually(whole)


@pytest.mark.parametrize("pauses", range(6))
async def test_a_cancelled_update_leaves_the_old_row_or_the_new(
    store: CatalogueStore, pauses: int
) -> None:
    old, new = genre_name(), genre_name()
    row = await store.create(new_id(), draft(old), None)
    task = asyncio.create_task(store.update(row["id"], Changes({"genres": [new]}), ANY))
    await asyncio.sleep(0)
    for _ in range(pauses):
        await asyncio.sleep(0.0002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    async def whole() -> bool:
        now: list[str] = (await store.video(row["id"]))["genres"]
        lists = {genre: await listed(store, genre) for genre in (old, new)}
        return [genre for genre, ids in lists.items() if ids == [row["id"]]] == now

    await eventually(whole)
    written = await store.update(row["id"], Changes({"title": "After"}), ANY)
    assert await store.video(row["id"]) == written.after
