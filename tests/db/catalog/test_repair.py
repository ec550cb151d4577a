"""What a repair mends, what it leaves alone, and that it undoes nothing that happens meanwhile."""

import asyncio
import io
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest

from db.catalog import __main__ as catalog
from db.catalog.repair import SETTLE_S, Repair
from db.catalog.running import Patience, Progress
from db.store import Entry, Stored
from db.version import Expected, new_id, next_version
from db.video import Changes
from errors import Unavailable
from tests.db.catalog.loose_store import PAGE, Lines, LooseStore
from tests.db.catalog.strained_store import patience
from tests.db.samples import draft, listed, loaded, long_ago

ANY = Expected()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LooseStore]:
    opened = LooseStore(tmp_path / "content.sqlite3")
    await opened.open()
    yield opened
    await opened.close()


def repair(
    store: LooseStore,
    waits: Patience | None = None,
    settle_s: float = 0.0,
    after: str | None = None,
) -> Repair:
    there: Any = store
    return Repair(there, waits or patience(), Progress(io.StringIO()), settle_s, after)


async def filled(store: LooseStore, count: int = 300) -> list[Stored]:
    rows = [loaded(long_ago(number), "Dramas", "Kids") for number in range(count)]
    await store.load(rows)
    return rows


def line_of(stored: Stored, genre: str) -> Entry:
    row = stored.row
    return Entry(genre, stored.created, row["id"], row["lastupdated"])


def lines_of(store: LooseStore) -> list[tuple[str, str, str]]:
    return sorted(entry[:3] for entry in store.lines)


async def test_what_is_right_is_left_as_it_is(store: LooseStore) -> None:
    await filled(store)
    video_id = new_id()
    await store.create(video_id, (await filled(store, 1))[0].row | {"genres": ["Kids"]}, None)
    await store.update(video_id, Changes({"title": "Another"}), ANY)
    before = lines_of(store)
    ours = repair(store)
    await ours.run()
    assert (ours.rows, ours.lines, ours.put, ours.dropped) == (302, 603, 603, 0)
    assert lines_of(store) == before


async def test_a_lost_line_is_back_where_it_was(store: LooseStore) -> None:
    rows = await filled(store)
    before = lines_of(store)
    for stored in rows[::50]:
        await store.lines.drop([line_of(stored, "Kids")])
    ours = repair(store)
    await ours.run()
    assert lines_of(store) == before
    assert ours.dropped == 0


async def test_a_row_that_was_taken_off_a_genre_meanwhile_stays_off(store: LooseStore) -> None:
    stored, *_ = await filled(store, 1)
    await store.lines.drop([line_of(stored, "Kids")])
    put = store.lines.put

    async def late_put(entries: Collection[Entry]) -> None:
        await store.update(stored.row["id"], Changes({"genres": ["Dramas"]}), ANY)
        await put(entries)

    store.lines.put = late_put  # type: ignore[method-assign] # a write gets in between
    await repair(store).run()
    assert store.lines.writes
    assert await listed(store, "Kids") == []


async def test_lines_that_no_row_stands_behind_are_dropped(store: LooseStore) -> None:
    rows = await filled(store)
    gone = [loaded(long_ago(number), "Kids") for number in range(PAGE + 5)]
    for stored in gone:
        await store.lines.put([line_of(stored, "Kids")])
    await store.lines.put([line_of(rows[0], "Horror")])
    ours = repair(store)
    await ours.run()
    assert ours.dropped == PAGE + 6
    assert await listed(store, "Horror") == []
    assert len(lines_of(store)) == 2 * len(rows)


async def test_a_line_of_an_earlier_life_is_dropped(store: LooseStore) -> None:
    video_id = new_id("a key")
    first = await store.create(video_id, draft("Kids"), "hash")
    await store.delete(video_id, ANY)
    await store.lines.put([Entry("Kids", first["lastupdated"], video_id, next_version())])
    await store.create(video_id, draft("Kids"), "hash")
    assert await listed(store, "Kids") == [video_id, video_id]
    ours = repair(store)
    await ours.run()
    assert ours.dropped == 1
    assert await listed(store, "Kids") == [video_id]


async def test_a_row_that_arrives_meanwhile_keeps_its_line(
    store: LooseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = loaded(long_ago(), "Kids")
    await store.lines.put([line_of(late, "Kids")])

    async def load_meanwhile(seconds: float) -> None:
        assert seconds == SETTLE_S
        await store.load([late])

    monkeypatch.setattr(asyncio, "sleep", load_meanwhile)  # the wait, at a known moment
    ours = repair(store, settle_s=SETTLE_S)
    await ours.run()
    assert ours.dropped == 0
    assert await listed(store, "Kids") == [late.row["id"]]


async def test_a_write_between_the_last_look_and_the_drop_is_not_undone(
    store: LooseStore,
) -> None:
    stored = loaded(long_ago(), "Dramas")
    await store.load([stored])
    await store.lines.put([line_of(stored, "Kids")])
    drop = store.lines.drop

    async def late_drop(entries: Collection[Entry]) -> None:
        await store.update(stored.row["id"], Changes({"genres": ["Kids"]}), ANY)
        await drop(entries)

    store.lines.drop = late_drop  # type: ignore[method-assign] # a write gets in between
    await repair(store).run()
    assert [entry.genre for entry in store.lines.writes] == ["Kids", "Dramas", "Kids"]
    assert await listed(store, "Kids") == [stored.row["id"]]


async def test_a_line_that_was_dropped_before_its_row_came_is_put_back(
    store: LooseStore,
) -> None:
    """An import that dies leaves lines without rows; after a repair, it is run again."""
    stored = loaded(long_ago(), "Kids")
    await store.lines.put([line_of(stored, "Kids")])
    await repair(store).run()
    await store.load([stored])
    assert await listed(store, "Kids") == []  # the deletion wins at equal versions
    for _ in range(2):
        await repair(store).run()
        assert await listed(store, "Kids") == [stored.row["id"]]


async def test_a_stopped_repair_goes_on_behind_the_id_that_it_names(store: LooseStore) -> None:
    rows = await filled(store)
    before = lines_of(store)
    for stored in rows:
        await store.lines.drop([line_of(stored, "Dramas")])
        await store.lines.drop([line_of(stored, "Kids")])
    put = store.lines.put

    async def stop_half_way(entries: Collection[Entry]) -> None:
        if len(store.lines.writes) > 3 * len(rows):
            raise KeyError
        await put(entries)

    store.lines.put = stop_half_way  # type: ignore[method-assign] # an end at a known moment
    stopped = repair(store)
    with pytest.raises(KeyError):
        await stopped.run()
    assert stopped.after is not None
    assert stopped.again == f"python -m db.catalog repair --after {stopped.after}"
    store.lines.put = put  # type: ignore[method-assign] # and nothing in the way any more
    store.lines.writes.clear()
    await repair(store, after=stopped.after).run()
    assert lines_of(store) == before
    assert {entry.video_id for entry in store.lines.writes} == {
        stored.row["id"] for stored in rows if stored.row["id"] > stopped.after
    }


async def test_an_outage_names_an_id_that_leaves_no_line_out(store: LooseStore) -> None:
    rows = await filled(store)
    before = lines_of(store)
    for stored in rows:
        await store.lines.drop([line_of(stored, "Dramas")])
    put = store.lines.put

    async def fail_later(entries: Collection[Entry]) -> None:
        if any(entry.video_id > "8" for entry in entries):
            raise Unavailable
        await put(entries)

    store.lines.put = fail_later  # type: ignore[method-assign] # an outage, at a known moment
    failed = repair(store, patience(2))
    with pytest.raises(Unavailable):
        await failed.run()
    assert failed.after is not None
    store.lines.put = put  # type: ignore[method-assign] # and nothing in the way any more
    await repair(store, after=failed.after).run()
    assert lines_of(store) == before


def test_the_command_says_what_it_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = Lines()

    def store_of(config: object = None) -> LooseStore:
        return LooseStore(tmp_path / "content.sqlite3", lines)

    async def break_lists() -> None:
        store = store_of()
        await store.open()
        for stored in (await filled(store))[::100]:
            await store.lines.drop([line_of(stored, "Kids")])
        await store.close()

    monkeypatch.setattr(catalog, "open_store", store_of)
    asyncio.run(break_lists())
    assert catalog.main(["repair"]) == 0
    out, _ = capsys.readouterr()
    assert out == "read 300 rows and 600 lines of lists; wrote 600, dropped 0\n"
    assert len(list(lines)) == 600
