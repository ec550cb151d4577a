"""The lines of genre lists in Cassandra, which the repair reads and writes apart from the rows."""

import pytest

from db.cassandra.store import CassandraStore
from db.store import CatalogueStore, Entry
from db.version import Expected, new_id
from db.video import Changes
from errors import NotFound
from tests.db.samples import draft, genre_name, listed, loaded, long_ago
from tests.db.store_lines import flat

pytestmark = pytest.mark.parametrize("store_config", ["cassandra"], indirect=True)
ANY = Expected()


@pytest.fixture
def repairable(store: CatalogueStore) -> CassandraStore:
    assert isinstance(store, CassandraStore)
    return store


async def add(store: CassandraStore, *genres: str) -> str:
    row = await store.create(new_id(), draft(*genres), None)
    return str(row["id"])


async def lines_of(store: CassandraStore, *genres: str) -> list[Entry]:
    return sorted(entry for entry in await flat(store.entries()) if entry.genre in genres)


async def test_the_list_of_genres_is_mended(repairable: CassandraStore) -> None:
    genre, nobodys = genre_name(), genre_name()
    await add(repairable, genre)
    for name in (genre, nobodys):
        await repairable.lines.check(name)
    names = await repairable.genres()
    assert genre in names
    assert nobodys not in names


async def test_entries_are_the_lines_with_their_versions(repairable: CassandraStore) -> None:
    stays, goes, comes = sorted(genre_name() for _ in range(3))
    row = await repairable.create(new_id(), draft(stays, goes), None)
    created = row["lastupdated"]
    written = await repairable.update(row["id"], Changes({"genres": [stays, comes]}), ANY)
    assert written.after is not None
    assert await lines_of(repairable, stays, goes, comes) == [
        Entry(stays, created, row["id"], written.after["lastupdated"]),
        Entry(comes, created, row["id"], written.after["lastupdated"]),
    ]


async def test_entries_are_streamed_to_the_end(repairable: CassandraStore) -> None:
    genres = sorted(genre_name() for _ in range(2))
    rows = [loaded(long_ago(number), *genres) for number in range(1_203)]
    await repairable.load(rows)
    lines = [entry for entry in await flat(repairable.entries()) if entry.genre in genres]
    assert sorted(lines) == sorted(
        Entry(genre, stored.created, stored.row["id"], stored.row["lastupdated"])
        for genre in genres
        for stored in rows
    )


def line(genre: str) -> list[Entry]:
    """The same line as three versions of a row would write it, oldest first."""
    video_id, created = new_id(), long_ago()
    return [Entry(genre, created, video_id, long_ago(number)) for number in range(3)]


async def test_a_line_may_name_a_row_that_is_not_there(repairable: CassandraStore) -> None:
    genre = genre_name()
    entry = line(genre)[0]
    await repairable.lines.put([entry])
    assert await repairable.genre(genre) == [entry.video_id]
    assert await lines_of(repairable, genre) == [entry]
    with pytest.raises(NotFound):
        await repairable.video(entry.video_id)


async def test_a_line_keeps_its_newest_version(repairable: CassandraStore) -> None:
    genre = genre_name()
    older, middle, newer = line(genre)
    for entry in (middle, older):
        await repairable.lines.put([entry])
    assert await lines_of(repairable, genre) == [middle]
    await repairable.lines.put([newer])
    assert await lines_of(repairable, genre) == [newer]


async def test_a_drop_takes_what_is_not_newer(repairable: CassandraStore) -> None:
    genre = genre_name()
    older, middle, newer = line(genre)
    await repairable.lines.put([middle])
    await repairable.lines.drop([older])
    assert await lines_of(repairable, genre) == [middle]
    await repairable.lines.drop([middle])
    assert await lines_of(repairable, genre) == []
    await repairable.lines.put([middle])
    await repairable.lines.put([older])
    assert await lines_of(repairable, genre) == []
    await repairable.lines.put([newer])
    assert await lines_of(repairable, genre) == [newer]


async def test_a_late_older_line_does_not_undo_an_update(repairable: CassandraStore) -> None:
    """What a repair does that read the row before the update, and writes after it."""
    old, new = genre_name(), genre_name()
    row = await repairable.create(new_id(), draft(old), None)
    created = row["lastupdated"]
    await repairable.update(row["id"], Changes({"genres": [new]}), ANY)
    await repairable.lines.put([Entry(old, created, row["id"], created)])
    await repairable.lines.drop([Entry(new, created, row["id"], created)])
    assert (await listed(repairable, old), await listed(repairable, new)) == ([], [row["id"]])
