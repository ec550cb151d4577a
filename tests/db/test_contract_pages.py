"""What every store does with many rows: pages that end, streams, and a loader that harms nobody."""

import uuid

import orjson
import pytest

from config import Config
from db.store import IDENTITY, CatalogueStore, Stored, Written, open_store
from db.version import Expected, new_id
from db.video import Changes
from errors import NotFound
from tests.db.samples import draft, eventually, genre_name, listed, loaded, long_ago, walk
from tests.db.store_lines import lines, rows_of

ANY = Expected()


async def fill(store: CatalogueStore, count: int, *genres: str) -> list[Stored]:
    rows = [loaded(long_ago(number), *genres) for number in range(count)]
    await store.load(rows)
    return rows


async def test_a_walk_meets_each_row_once_and_ends(empty_store: CatalogueStore) -> None:
    ids = {stored.row["id"] for stored in await fill(empty_store, 70)}
    for limits in ((7,), (1,), (70,), (71,), (10_001,), (3, 8, 1)):
        met = await walk(empty_store, *limits)
        assert sorted(met) == sorted(ids)
    assert await empty_store.ids(met[-1], 7) == []
    assert await empty_store.ids(None, 10) == met[:10]


async def test_a_walk_outlives_what_others_do_meanwhile(store: CatalogueStore) -> None:
    rows = [stored.row["id"] for stored in await fill(store, 200)]
    throughout, doomed = set(rows), set(rows[::3])
    met: list[str] = []
    while page := await store.ids(met[-1] if met else None, 7):
        met += page
        # the cursor's own row first, then others behind and ahead
        for video_id in [page[-1], *sorted(doomed)[:3]]:
            if video_id in throughout:
                await store.delete(video_id, ANY)
                throughout.discard(video_id)
                doomed.discard(video_id)
        if len(met) < 300:
            await store.create(new_id(), draft(), None)
    assert len(met) == len(set(met))
    assert throughout <= set(met)
    assert len(throughout) > 50


async def test_a_page_begins_behind_a_row_that_is_gone(store: CatalogueStore) -> None:
    await fill(store, 10)
    all_ids = await walk(store, 1_000)
    place = len(all_ids) // 2
    await store.delete(all_ids[place], ANY)
    assert await store.ids(all_ids[place], 3) == all_ids[place + 1 : place + 4]


async def test_an_empty_store_has_nothing(
    empty_store: CatalogueStore, store_config: Config
) -> None:
    assert await empty_store.ids(None, 10) == []
    assert await empty_store.ids(new_id(), 10) == []
    assert await rows_of(empty_store, store_config) == []
    assert await lines(empty_store, store_config) == []
    with pytest.raises(NotFound):
        await empty_store.random_id()


async def test_a_random_id_is_any_of_those_there(empty_store: CatalogueStore) -> None:
    ids = {stored.row["id"] for stored in await fill(empty_store, 3)}
    drawn = {await empty_store.random_id() for _ in range(300)}
    assert drawn <= ids
    assert len(drawn) > 1


async def test_the_only_row_is_always_the_random_one(empty_store: CatalogueStore) -> None:
    row = await empty_store.create(new_id(), draft(), None)
    assert {await empty_store.random_id() for _ in range(30)} == {row["id"]}


async def test_a_scan_is_every_row_in_the_order_of_ids(
    empty_store: CatalogueStore, store_config: Config
) -> None:
    rows = {stored.row["id"]: stored for stored in await fill(empty_store, 1_203)}
    made = await empty_store.create(new_id(), draft(isMovie=False, seasons=3), "hash")
    rows[made["id"]] = Stored(made, made["lastupdated"], "hash")
    scanned = await rows_of(empty_store, store_config)
    order = [stored.row["id"] for stored in scanned]
    assert order == await walk(empty_store, 100)
    assert scanned == [rows[video_id] for video_id in order]
    assert all(list(stored.row) == list(rows[stored.row["id"]].row) for stored in scanned)
    for place in (0, 500, 1_202, 1_203):
        assert await empty_store.ids(order[place], 10_000) == order[place + 1 :]


async def test_a_loaded_row_reads_as_it_was_given(store: CatalogueStore) -> None:
    genre = genre_name()
    movie = loaded(long_ago(), genre, cast=["a", "b"], duration=5_400)
    series = loaded(long_ago(1), genre, isMovie=False, lastupdated=long_ago(5))
    await store.load([movie, series])
    for stored in (movie, series):
        assert orjson.dumps(await store.video(stored.row["id"])) == orjson.dumps(stored.row)
    assert await store.genre(genre) == [series.row["id"], movie.row["id"]]


async def test_known_are_the_ids_that_are_there_or_were_deleted(store: CatalogueStore) -> None:
    there, gone, patched = await fill(store, 3)
    await store.delete(gone.row["id"], ANY)
    await store.update(patched.row["id"], Changes({"title": "New"}), ANY)
    ids = {stored.row["id"] for stored in (there, gone, patched)}
    assert await store.known([*ids, new_id()]) == ids
    assert await store.known([]) == set()


async def test_a_load_may_be_repeated(store: CatalogueStore) -> None:
    """As the loader does when an answer is lost."""
    genre = genre_name()
    rows = await fill(store, 20, genre)
    await store.load(rows)
    await store.load([*rows, loaded(long_ago(50), genre)])
    await store.load([])
    assert len(await store.genre(genre)) == 21


async def test_the_hidden_fields_are_stored(
    empty_store: CatalogueStore, store_config: Config
) -> None:
    stored = loaded(long_ago(), lastupdated=long_ago(5))._replace(request_hash="hash")
    await empty_store.load([stored])
    assert await rows_of(empty_store, store_config) == [stored]
    await empty_store.delete(stored.row["id"], ANY)
    assert await rows_of(empty_store, store_config) == []


async def test_a_note_is_kept_under_its_name(store: CatalogueStore) -> None:
    name = genre_name()
    assert await store.note(name) is None
    for value in ("begun", "finished", ""):
        await store.set_note(name, value)
        assert await store.note(name) == value
    assert await store.note(f"{name}2") is None


async def test_a_load_does_not_change_what_was_patched(store: CatalogueStore) -> None:
    old, new = genre_name(), genre_name()
    stored = (await fill(store, 1, old))[0]
    written = await store.update(stored.row["id"], Changes({"genres": [new], "rating": "R"}), ANY)
    await store.load([stored])
    assert await store.video(stored.row["id"]) == written.after
    assert (await listed(store, old), await store.genre(new)) == ([], [stored.row["id"]])


async def test_a_load_does_not_change_what_the_api_made(store: CatalogueStore) -> None:
    row = await store.create(new_id(), draft(), "hash")
    other = loaded(long_ago(), genre_name())
    clash = Stored({**other.row, "id": row["id"]}, other.created)
    await store.load([clash])
    assert await store.video(row["id"]) == row
    assert await store.create(row["id"], draft(), "hash") == row


async def test_a_load_brings_nothing_back_to_life(
    store: CatalogueStore, store_config: Config
) -> None:
    genre = genre_name()
    gone, stays = await fill(store, 2, genre)
    assert await store.delete(gone.row["id"], ANY) == Written(gone.row, None)
    for _ in range(2):
        await store.load([gone, stays])
        with pytest.raises(NotFound):
            await store.video(gone.row["id"])
        assert await store.genre(genre) == [stays.row["id"]]
    assert gone.row["id"] not in await walk(store, 1_000)
    assert gone.row["id"] not in [line[2] for line in await lines(store, store_config)]


@pytest.mark.parametrize("change", ["genre", "date", "both"])
async def test_a_newer_file_lists_nothing_that_was_deleted(
    store: CatalogueStore, store_config: Config, change: str
) -> None:
    """As the loader does it: it asks which rows are known, and loads the others."""
    old, new = genre_name(), genre_name()
    first = (await fill(store, 1, old))[0]
    await store.delete(first.row["id"], ANY)
    genre = old if change == "date" else new
    created = first.created if change == "genre" else long_ago(9)
    newer = loaded(created, genre)
    later = Stored({**newer.row, "id": first.row["id"]}, created)
    assert await store.known([later.row["id"]]) == {later.row["id"]}
    await store.load([later])  # and even a loader that asked before the deletion
    with pytest.raises(NotFound):
        await store.video(later.row["id"])
    assert (await listed(store, old), await listed(store, new)) == ([], [])
    assert later.row["id"] not in [line[2] for line in await lines(store, store_config)]


async def test_a_row_created_again_after_its_deletion_outlives_a_load(
    store: CatalogueStore,
) -> None:
    genre = genre_name()
    stored = (await fill(store, 1, genre))[0]
    await store.delete(stored.row["id"], ANY)
    again = await store.create(stored.row["id"], draft(genre, title="Again"), "hash")
    await store.load([stored])
    assert await store.video(stored.row["id"]) == again
    assert await store.genre(genre) == [stored.row["id"]]


async def test_a_loaded_row_is_patched_and_deleted_like_any_other(store: CatalogueStore) -> None:
    genre = genre_name()
    stored = (await fill(store, 1, genre))[0]
    seen = Expected(last_updated=stored.row["lastupdated"])
    written = await store.update(stored.row["id"], Changes({"title": "New"}), seen)
    assert written.before == stored.row
    assert await store.video(stored.row["id"]) == written.after
    await store.delete(stored.row["id"], ANY)
    assert await listed(store, genre) == []


async def test_a_load_keeps_the_hash_of_the_request(store: CatalogueStore) -> None:
    """A copy from one store to another keeps late retries idempotent."""
    given = loaded(long_ago())
    await store.load([given._replace(request_hash="hash")])
    assert await store.create(given.row["id"], draft(), "hash") == given.row


async def test_the_identity_is_made_with_the_store_and_can_be_renewed(
    store: CatalogueStore, store_config: Config
) -> None:
    identity = await store.identity()
    assert identity == await store.identity() == str(uuid.UUID(identity))
    await store.set_note(IDENTITY, str(uuid.uuid4()))
    again = open_store(store_config)
    await again.open()
    try:
        renewed = await again.identity()
        assert renewed == str(uuid.UUID(renewed)) != identity
    finally:
        await again.close()

    async def is_told() -> bool:
        return await store.identity() == renewed

    await eventually(is_told)
