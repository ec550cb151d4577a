"""Near cache: its bytes are bounded, and are those that the process takes."""

import gc
import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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


LIMIT_BYTES = 100_000
KEYS = st.sampled_from([f"/{n}" for n in range(30)])


class NearMachine(RuleBasedStateMachine):
    """Any order of anything: what is kept is what was put last, in time, within the limit."""

    def __init__(self) -> None:
        super().__init__()
        self.at = Time()
        self.near = self.at.near(LIMIT_BYTES, ttl_s=10.0)
        self.kept: dict[str, tuple[Entry, float]] = {}

    @rule(
        key=KEYS,
        size=st.integers(0, 300) | st.integers(0, 13_000),
        absent=st.booleans(),
        age_s=st.floats(-5, 8),
        ttl_s=st.none() | st.floats(0, 20),
        jitter=st.floats(0, 1),
    )
    def put(
        self,
        key: str,
        size: int,
        absent: bool,
        age_s: float,
        ttl_s: float | None,
        jitter: float,
    ) -> None:
        self.at.jitter = jitter
        tag = b"" if absent else b'"tag"'
        entry = Entry(bytes(size), tag, NOON + self.at.now_s - age_s, ttl_s)
        self.kept.pop(key, None)
        kept = put(self.near, key, entry)
        if kept is not None:
            limit_s = float("inf") if ttl_s is None else ttl_s - max(0, age_s)
            self.kept[key] = kept, self.at.now_s + min(10.0, limit_s)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        hit = self.near.get(key)
        if hit is not None:
            kept, until_s = self.kept[key]
            assert hit is kept
            assert self.at.now_s < until_s + 1e-6

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        self.near.remove(key)
        self.kept.pop(key, None)
        assert self.near.get(key) is None

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.at.now_s += seconds

    @rule()
    def clear(self) -> None:
        self.near.clear()
        self.kept.clear()

    @precondition(lambda self: self.near.enabled)
    @rule()
    def disable(self) -> None:
        self.near.disable()
        self.kept.clear()

    @precondition(lambda self: not self.near.enabled)
    @rule()
    def enable(self) -> None:
        self.near.enable()

    @invariant()
    def the_bound_holds(self) -> None:
        assert 0 <= self.near.bytes <= LIMIT_BYTES

    @rule()
    def get_all(self) -> None:
        """A get removes an expired entry; the bytes are those of the remaining entries."""
        found = [hit for key in self.kept if (hit := self.near.get(key)) is not None]
        assert self.near.bytes == sum(entry.cost_bytes for entry in found)
        assert len(self.near) == len(found)
        negative = sum(entry.cost_bytes for entry in found if entry.status == 404)
        assert negative <= LIMIT_BYTES // NEGATIVE

    def teardown(self) -> None:
        self.get_all()


TestAnyOrder = NearMachine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
