"""Near cache: the bound on its bytes, and the memory that the process takes for them."""

import gc
import tracemalloc

import pytest

from cache.entry import ABSENT, Entry
from cache.near import LARGEST, NEGATIVE
from tests.cache.near_world import NOON, Time, absent, put, room_for
from tests.cache.resident import in_fresh_process


@pytest.fixture
def at() -> Time:
    return Time()


def test_random_ids_take_a_sixteenth_at_most_until_they_expire(at: Time) -> None:
    limit_bytes = room_for(160, at)
    near = at.near(limit_bytes)
    rows = [f"{n:02}" for n in range(90)]
    kept = [put(near, f"/{n}", absent(ttl_s=5)) for n in range(1000)]
    for key in rows:
        put(near, key, at.row())
    assert put(near, "/1000", absent(ttl_s=5)) is None
    assert all(map(near.get, rows))
    assert near.get("/0") is kept[0] is not None
    negative_bytes = near.bytes - room_for(90, at)
    assert 0.8 < negative_bytes / (limit_bytes // NEGATIVE) <= 1
    at.now_s += 5
    fresh = Entry(ABSENT, b"", NOON + at.now_s, 5.0)
    assert put(near, "/1001", fresh) is near.get("/1001") is not None
    assert all(map(near.get, rows))


def test_a_negative_entry_that_is_not_kept_evicts_no_row(at: Time) -> None:
    near = at.near(room_for(40, at))
    for n in range(1000):
        put(near, f"/{n}", absent())
        put(near, f"{n % 40:02}", at.row())
    before = near.evictions
    assert put(near, "/1000", absent()) is None
    assert near.evictions == before


def test_rows_may_use_the_room_that_negative_entries_do_not(at: Time) -> None:
    near = at.near(room_for(160, at))
    for n in range(0x100):
        put(near, f"{n:02x}", at.row())
    assert (len(near), near.bytes, near.evictions) == (160, room_for(160, at), 96)
    assert put(near, "/a", absent())
    assert near.bytes <= room_for(160, at)


def test_an_entry_above_an_eighth_is_not_kept_nor_is_the_one_it_replaces(at: Time) -> None:
    near = at.near(limit_bytes=LARGEST * 1000)
    assert put(near, "/a", at.row())
    assert put(near, "/a", at.row(b"x" * 1000)) is None
    assert near.get("/a") is None
    assert put(near, "/a", at.row(b"x" * 400))


def test_without_room_nothing_is_kept(at: Time) -> None:
    near = at.near(limit_bytes=0)
    assert put(near, "/a", at.row()) is None
    assert put(near, "/a", absent()) is None
    assert len(near) == 0


def test_the_oldest_put_makes_room_however_often_it_is_hit(at: Time) -> None:
    near = at.near(room_for(40, at))
    keys = [f"{n:02}" for n in range(50)]
    for key in keys:
        put(near, key, at.row())
        near.get("00")
    assert [near.get(key) is not None for key in keys] == [False] * 10 + [True] * 40
    assert near.evictions == 10


def test_a_put_again_makes_the_youngest_of_the_oldest(at: Time) -> None:
    near = at.near(room_for(40, at))
    for n in (*range(40), 0, 40):
        put(near, f"{n:02}", at.row())
    assert near.get("00")
    assert near.get("01") is None


def test_what_has_expired_makes_room_before_what_has_not(at: Time) -> None:
    near = at.near(room_for(40, at), ttl_s=10)
    old, young = ([f"{n:02}" for n in range(low, low + 20)] for low in (0, 20))
    for key in old:
        put(near, key, at.row())
    at.now_s += 5
    for key in young:
        put(near, key, at.row())
    at.now_s += 5
    for n in range(40, 60):
        put(near, f"{n}", at.row())
    assert all(map(near.get, young))
    assert near.evictions == 0


def test_a_put_removes_the_oldest_that_have_expired_though_there_is_room(at: Time) -> None:
    near = at.near(ttl_s=10)
    for key in ("/a", "/b"):
        put(near, key, at.row())
    at.now_s += 10
    kept = put(near, "/c", at.row())
    assert kept is not None
    assert (len(near), near.bytes, near.evictions) == (1, kept.cost_bytes, 0)


def alive() -> int:
    return sum(isinstance(each, Entry) for each in gc.get_objects())


def test_what_left_is_freed_at_once_even_while_a_reader_holds_a_neighbour(at: Time) -> None:
    near = at.near(room_for(12, at))
    gc.collect()
    before = alive()
    gc.disable()  # reference counts alone have to do it
    try:
        held = put(near, "held", at.row())
        for n in range(60):
            put(near, f"{n:02}", at.row())
        assert held is not None
        assert near.get("held") is None
        assert alive() - before == len(near) + 1 == 13
        near.clear()
        assert alive() - before == 1
    finally:
        gc.enable()


def test_clear_gives_back_the_memory_of_the_index_too(at: Time) -> None:
    near = at.near()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for n in range(1000):
            put(near, f"/{n}", at.row())
        near.clear()
        assert tracemalloc.get_traced_memory()[0] - before < 5_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bodies", [(540, 656), (2000, 2000)])
def test_the_process_grows_by_what_is_counted(bodies: tuple[int, int]) -> None:
    measured = in_fresh_process(16, *bodies)
    assert 0.88 < measured["full_over_counted"] < 1.1
    assert 0.9 < measured["churned_over_counted"] < 1.1
    assert 0.9 < measured["churned_over_limit"] < 1.1
    assert measured["peak_over_limit"] < 1.15
