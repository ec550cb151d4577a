"""Rows into a store: what an outage does, and what a second run adds."""

import io
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path

import pytest

from db.catalog.generator import Generator
from db.catalog.reading import Item, Unreadable
from db.catalog.running import BATCH_ROWS, SHOWN, Loader, Patience, Progress
from db.store import CatalogueStore
from errors import Unavailable
from tests.db.catalog.strained_store import NullStore, StrainedStore, contents, patience, strained

GENERATOR = Generator(1, "generated")
ROWS = BATCH_ROWS * 8 + 17


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[StrainedStore]:
    async for opened in strained(tmp_path / "content.sqlite3"):
        yield opened


def loader(store: CatalogueStore, waits: Patience | None = None) -> Loader:
    return Loader(store, waits or patience(), Progress(io.StringIO()))


def unknown(done: int) -> float:
    return 0.0


async def load(store: CatalogueStore, items: Iterator[Item]) -> tuple[int, int, int]:
    ours = loader(store)
    await ours.run(items, unknown)
    return ours.added, ours.there, ours.malformed


async def test_a_second_run_adds_nothing(store: StrainedStore) -> None:
    assert await load(store, GENERATOR.rows(ROWS)) == (ROWS, 0, 0)
    before = await contents(store)
    assert [row.row["id"] for row in before[0]] == sorted(r.row["id"] for r in GENERATOR.rows(ROWS))
    assert await load(store, GENERATOR.rows(ROWS)) == (0, ROWS, 0)
    assert await contents(store) == before


async def test_a_run_that_was_stopped_and_begun_again_leaves_what_one_run_leaves(
    store: StrainedStore, tmp_path: Path
) -> None:
    stopped = loader(store)
    await stopped.run(islice(GENERATOR.rows(ROWS), ROWS // 2), unknown)
    assert stopped.added == len((await contents(store))[0]) == ROWS // 2
    assert await load(store, GENERATOR.rows(ROWS)) == (ROWS - stopped.added, stopped.added, 0)
    async for other in strained(tmp_path / "other.sqlite3"):
        await load(other, GENERATOR.rows(ROWS))
        assert await contents(store) == await contents(other)


async def test_an_outage_is_waited_for(store: StrainedStore) -> None:
    store.failures = 5
    ours = loader(store)
    await ours.run(GENERATOR.rows(ROWS), unknown)
    assert store.failures == 0
    # the answers were lost, the rows were not: a retry finds them there, and counts them once
    assert (ours.added, ours.there) == (ROWS, 0)
    assert len((await contents(store))[0]) == ROWS


async def test_an_outage_that_stays_ends_the_run_and_a_later_one_goes_on(
    store: StrainedStore,
) -> None:
    store.failures = 10**9
    with pytest.raises(Unavailable):
        await loader(store, patience(3)).run(GENERATOR.rows(ROWS), unknown)
    assert store.loads == 3
    store.failures = 0
    await load(store, GENERATOR.rows(ROWS))
    assert len((await contents(store))[0]) == ROWS


async def test_malformed_records_are_told_and_counted(store: StrainedStore) -> None:
    out = io.StringIO()
    ours = Loader(store, patience(), Progress(out))
    wrong = [f"line {number}: no row" for number in range(BATCH_ROWS * 3)]
    await ours.run(iter([*wrong, *GENERATOR.rows(5)]), unknown)
    more = f"... and {len(wrong) - SHOWN} more malformed lines"
    assert out.getvalue().splitlines() == [*wrong[:SHOWN], more]
    assert (ours.added, ours.malformed) == (5, len(wrong))


async def test_of_two_rows_with_one_id_the_first_is_added(store: StrainedStore) -> None:
    first, *others = GENERATOR.rows(BATCH_ROWS * 2)
    twin = first._replace(row=first.row | {"title": "A later twin"})
    assert await load(store, iter([first, twin, *others, twin])) == (len(others) + 1, 2, 0)
    assert (await store.video(first.row["id"]))["title"] == first.row["title"]


async def test_a_file_that_ends_in_damage_keeps_what_came_before(store: StrainedStore) -> None:
    def items() -> Iterator[Item]:
        yield from GENERATOR.rows(BATCH_ROWS)
        raise Unreadable("cut off")

    with pytest.raises(Unreadable):
        await loader(store).run(items(), unknown)
    assert len((await contents(store))[0]) == BATCH_ROWS


async def test_progress_reaches_the_end(store: StrainedStore) -> None:
    seen: list[tuple[int, float]] = []
    ours = loader(store)
    ours.out.update = lambda *told: seen.append(told)  # type: ignore[method-assign] # what a user is shown
    await ours.run(GENERATOR.rows(ROWS), lambda done: done / ROWS)
    assert seen == sorted(seen)
    assert seen[-1] == (ROWS, 1.0)


async def test_memory_does_not_grow_with_the_catalogue(tmp_path: Path) -> None:
    store = NullStore(str(tmp_path / "content.sqlite3"))
    peaks = []
    for count in (1_000, 1_000, 8_000):  # the first run warms up
        tracemalloc.start()
        await load(store, GENERATOR.rows(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]
