"""The list of genres in Cassandra: names and lines agree, whoever is faster."""

from collections.abc import Callable
from typing import Any

import pytest

from bench.lab.servers import CassandraNode
from db.cassandra import lines as cassandra_lines
from db.cassandra.lines import Life
from db.cassandra.store import CassandraStore
from db.version import Expected, new_id
from db.video import Changes
from errors import Late
from tests.db.cassandra_world import config_of, opened
from tests.db.samples import draft, eventually, genre_name

pytestmark = pytest.mark.timeout(300)
ANY = Expected()


def before(store: CassandraStore, name: str, act: Callable[[], Any]) -> None:
    """Calls ``act`` once, just before ``store`` executes ``name`` for the first time."""
    cassandra: Any = store._cassandra
    execute = cassandra.execute

    async def interposed(statement: str, *values: Any, **options: Any) -> Any:
        if statement == name:
            cassandra.execute = execute
            await act()
        return await execute(statement, *values, **options)

    cassandra.execute = interposed


async def test_a_line_that_comes_while_its_name_is_removed_has_a_name(
    cassandra_node: CassandraNode,
) -> None:
    config = config_of(cassandra_node, store_deadline_s=10.0)
    async with opened(config) as one, opened(config) as two:
        for _ in range(3):
            genre = genre_name()
            row = await one.create(new_id(), draft(genre), None)
            await one.lines.write(
                Life.of(await one._writes.find(row["id"])).ended()  # type: ignore[arg-type]
            )
            before(one, "remove_genre", lambda: two.create(new_id(), draft(genre), None))  # noqa: B023
            await one.lines.check(genre)
            assert genre in await two.genres()


async def test_a_name_that_is_removed_while_a_line_comes_is_there_again(
    cassandra_node: CassandraNode,
) -> None:
    """The writer has put its line and not looked at the name yet."""
    config = config_of(cassandra_node, store_deadline_s=10.0)
    async with opened(config) as one, opened(config) as two:
        genre = genre_name()
        row = await one.create(new_id(), draft(genre), None)
        await one.delete(row["id"], ANY)
        before(two, "genres_among", lambda: one.lines.check(genre))
        await two.create(new_id(), draft(genre), None)
        assert genre in await one.genres()


async def test_a_removal_of_unknown_outcome_is_followed_up(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassandra_lines, "LOOK_AFTER_S", 0.1)
    monkeypatch.setattr(cassandra_lines, "LOOK_AGAIN_S", (0.1,) * 4)
    async with opened(config_of(cassandra_node, store_deadline_s=10.0)) as store:
        genre = genre_name()
        row = await store.create(new_id(), draft(genre), None)
        cassandra = store._cassandra
        execute, lost = cassandra.execute, 0

        async def losing(name: str, *values: Any, **options: Any) -> Any:
            nonlocal lost
            result = await execute(name, *values, **options)
            if name in ("remove_genre", "add_genre") and lost < 3:
                lost += 1
                if lost == 1:  # and a line comes meanwhile
                    await store.create(new_id(), draft(genre), None)
                raise Late
            return result

        monkeypatch.setattr(cassandra, "execute", losing)
        await store.update(row["id"], Changes({"genres": [genre_name()]}), ANY)

        async def settled() -> bool:
            return lost == 3 and genre in await store.genres()

        await eventually(settled)


async def test_a_removal_that_runs_long_after_it_was_given_up_is_made_good(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LOOK_AFTER_S", 0.1), ("LOOK_AGAIN_S", (0.1, 1.0))):
        monkeypatch.setattr(cassandra_lines, name, value)
    async with opened(config_of(cassandra_node, store_deadline_s=10.0)) as store:
        genre = genre_name()
        row = await store.create(new_id(), draft(genre), None)
        cassandra = store._cassandra
        execute, frozen = cassandra.execute, list[Any]()

        async def freezing(name: str, *values: Any, **options: Any) -> Any:
            if name == "remove_genre" and not frozen:
                frozen.append(values)
                await store.create(new_id(), draft(genre), None)
                raise Late
            result = await execute(name, *values, **options)
            if name == "add_genre" and len(frozen) == 1:
                # the retry has looked: now the removal runs
                frozen.append(await execute("remove_genre", *frozen[0]))
            return result

        monkeypatch.setattr(cassandra, "execute", freezing)
        await store.delete(row["id"], ANY)

        async def settled() -> bool:
            return len(frozen) == 2 and genre in await store.genres()

        await eventually(settled)


async def test_many_deletions_of_a_genre_are_few_looks(
    cassandra_node: CassandraNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassandra_lines, "LOOK_AFTER_S", 0.5)
    async with opened(config_of(cassandra_node, store_deadline_s=10.0)) as store:
        genre, looks = genre_name(), 0
        check = store.lines.check

        async def counted(name: str) -> None:
            nonlocal looks
            looks += name == genre
            await check(name)

        monkeypatch.setattr(store.lines, "check", counted)
        rows = [await store.create(new_id(), draft(genre), None) for _ in range(30)]
        for row in rows:
            await store.delete(row["id"], ANY)

        async def gone() -> bool:
            return genre not in await store.genres()

        await eventually(gone)
        assert 0 < looks < len(rows) / 2
