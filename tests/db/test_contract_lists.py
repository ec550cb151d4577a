"""What every store does with genre lists: newest added first, and in the order of the versions."""

import pytest

from config import Config
from db.store import GENRE_LIST, CatalogueStore, Place
from db.version import Expected, make_version, new_id, version_us
from db.video import Changes
from errors import NotFound
from tests.db.samples import LONG_AGO_US, draft, eventually, genre_name, listed, loaded, long_ago
from tests.db.store_lines import Line, lines

ANY = Expected()


async def add(store: CatalogueStore, *genres: str) -> str:
    row = await store.create(new_id(), draft(*genres), None)
    return str(row["id"])


async def lines_of(store: CatalogueStore, config: Config, *genres: str) -> list[Line]:
    return sorted(line for line in await lines(store, config) if line[0] in genres)


async def test_the_newest_is_first(store: CatalogueStore) -> None:
    genre = genre_name()
    added = [await add(store, genre) for _ in range(4)]
    assert await store.genre(genre) == added[::-1]


async def test_an_unknown_genre_is_not_found(store: CatalogueStore) -> None:
    await add(store, "genre")
    for name in (genre_name(), "genr", "Genre", "genre ", "%"):
        with pytest.raises(NotFound):
            await store.genre(name)


@pytest.mark.parametrize("name", ["Sci-Fi / Fantasy", "Комедия", "🎬", 'a"b\\c', "a|b", "%_"])
async def test_a_genre_has_any_name(store: CatalogueStore, name: str) -> None:
    genre = f"{name}{genre_name()}"
    video_id = await add(store, genre)
    assert await store.genre(genre) == [video_id]


async def test_a_list_has_at_most_thirty_ids(store: CatalogueStore) -> None:
    genre = genre_name()
    # seconds apart: over half an hour the text of a timeuuid is not in the order of time
    rows = [loaded(long_ago(60_000_000 * number), genre) for number in range(GENRE_LIST + 5)]
    await store.load(rows)
    newest = [stored.row["id"] for stored in reversed(rows)]
    assert await store.genre(genre) == newest[:GENRE_LIST]
    for video_id in newest[:3]:
        await store.delete(video_id, ANY)
    assert await store.genre(genre) == newest[3 : GENRE_LIST + 3]


async def walk_genre(store: CatalogueStore, genre: str, limit: int) -> list[str]:
    """Every id of a genre, in pages."""
    found: list[Place] = []
    while page := await store.genre_page(genre, found[-1] if found else None, limit):
        assert len(page) <= limit
        found += page
    return [place.video_id for place in found]


async def test_pages_have_every_row_of_a_genre_in_the_order_of_the_list(
    store: CatalogueStore,
) -> None:
    genre = genre_name()
    # twins in groups of three, so that pages begin within a group and between groups
    rows = [loaded(created, genre) for number in range(12) for created in [long_ago(number)] * 3]
    await store.load(rows)
    newest = sorted(rows, key=lambda stored: stored.row["id"])
    newest.sort(key=lambda stored: version_us(stored.created), reverse=True)
    ids = [stored.row["id"] for stored in newest]
    assert await store.genre(genre) == ids[:GENRE_LIST]
    for limit in (1, 2, 3, 4, 7, 35, 36, 37, 101):
        assert await walk_genre(store, genre, limit) == ids
    assert [place.created for place in await store.genre_page(genre, None, 1)] == [
        newest[0].created
    ]


async def test_a_page_of_a_genre_begins_behind_a_row_that_is_gone(store: CatalogueStore) -> None:
    genre = genre_name()
    ids = [await add(store, genre) for _ in range(4)][::-1]
    place = (await store.genre_page(genre, None, 2))[-1]
    await store.delete(ids[1], ANY)
    await add(store, genre)
    assert [each.video_id for each in await store.genre_page(genre, place, 5)] == ids[2:]
    assert await store.genre_page(genre_name(), None, 5) == []
    assert await store.genre_page(genre_name(), place, 5) == []


def signed(created: str) -> list[int]:
    """Cassandra compares what tells twins apart as signed bytes (``TimeUUIDType``)."""
    tail = bytes.fromhex(created.replace("-", ""))[8:]
    return [byte - 256 if byte > 127 else byte for byte in tail]


async def test_twins_of_one_microsecond_are_in_the_order_of_cassandra(
    store: CatalogueStore,
) -> None:
    genre = genre_name()
    tails = ["0000", "007f", "0080", "00ff", "3f00", "3f7f", "3f80", "3fff", "0100", "017f"]
    twins = [make_version(LONG_AGO_US, bytes.fromhex(tail) + b"\x7f\x80\0\0\0\0") for tail in tails]
    rows = [loaded(created, genre) for created in twins]
    await store.load(rows)
    newest = sorted(rows, key=lambda stored: signed(stored.created), reverse=True)
    assert await store.genre(genre) == [stored.row["id"] for stored in newest]
    assert newest != sorted(rows, key=lambda stored: stored.created, reverse=True)


async def test_rows_added_at_the_same_time_are_in_the_order_of_ids(store: CatalogueStore) -> None:
    genre, created = genre_name(), long_ago()
    rows = [loaded(created, genre) for _ in range(10)]
    await store.load(rows)
    assert await store.genre(genre) == sorted(stored.row["id"] for stored in rows)


async def test_an_update_moves_no_row_within_its_list(store: CatalogueStore) -> None:
    genre = genre_name()
    added = [await add(store, genre) for _ in range(3)]
    await store.update(added[0], Changes({"title": "New"}), ANY)
    await store.update(added[1], Changes({"genres": sorted([genre, genre_name()])}), ANY)
    assert await store.genre(genre) == added[::-1]


async def test_a_row_moves_with_its_genres_and_keeps_its_place(store: CatalogueStore) -> None:
    old, new = genre_name(), genre_name()
    first, moved, last = await add(store, new), await add(store, old), await add(store, new)
    await store.update(moved, Changes({"genres": [new]}), ANY)
    assert await store.genre(new) == [last, moved, first]
    with pytest.raises(NotFound):
        await store.genre(old)


async def test_there_and_back_again_ends_where_it_began(store: CatalogueStore) -> None:
    here, there = genre_name(), genre_name()
    video_id = await add(store, here)
    for _ in range(3):
        await store.update(video_id, Changes({"genres": [there]}), ANY)
        assert (await listed(store, here), await listed(store, there)) == ([], [video_id])
        await store.update(video_id, Changes({"genres": [here]}), ANY)
        assert (await listed(store, here), await listed(store, there)) == ([video_id], [])


async def test_a_deleted_row_leaves_every_list(store: CatalogueStore, store_config: Config) -> None:
    genres = sorted(genre_name() for _ in range(3))
    video_id, stays = await add(store, *genres), await add(store, genres[0])
    await store.delete(video_id, ANY)
    assert [await listed(store, genre) for genre in genres] == [[stays], [], []]
    assert [line[2] for line in await lines_of(store, store_config, *genres)] == [stays]


async def test_genres_are_those_of_rows_in_the_order_of_code_points(store: CatalogueStore) -> None:
    tail = genre_name()
    mine = [f"{start}{tail}" for start in ("Z", "a", "É", "ﬀ", "🎬")]
    for genre in reversed(mine):
        await add(store, genre)
    gone = await add(store, tail)
    await store.delete(gone, ANY)

    async def as_expected() -> bool:
        genres = await store.genres()
        assert genres == sorted(set(genres))
        return [genre for genre in genres if genre.endswith(tail)] == mine

    await eventually(as_expected)


@pytest.mark.timeout(60)
async def test_a_genre_leaves_the_list_of_genres_with_its_last_row(store: CatalogueStore) -> None:
    deleted, patched, stays, back = (genre_name() for _ in range(4))
    rows = [await add(store, genre) for genre in (deleted, patched, stays, back)]
    names = {deleted, patched, stays, back}
    assert names <= set(await store.genres())
    await store.delete(rows[0], ANY)
    await store.update(rows[1], Changes({"genres": [stays]}), ANY)
    await store.delete(rows[3], ANY)
    await add(store, back)

    async def gone() -> bool:
        found = names & set(await store.genres())
        assert {stays, back} <= found
        return found == {stays, back}

    await eventually(gone)


async def test_a_row_has_one_line_in_each_of_its_genres(
    store: CatalogueStore, store_config: Config
) -> None:
    stays, goes, comes = sorted(genre_name() for _ in range(3))
    row = await store.create(new_id(), draft(stays, goes), None)
    created, video_id = row["lastupdated"], row["id"]
    genres = [stays, goes, comes]
    assert await lines_of(store, store_config, *genres) == [
        (stays, created, video_id),
        (goes, created, video_id),
    ]
    await store.update(video_id, Changes({"genres": [stays, comes]}), ANY)
    assert await lines_of(store, store_config, *genres) == [
        (stays, created, video_id),
        (comes, created, video_id),
    ]
