"""Near cache: what it serves, and until when."""

import pytest

from tests.cache.near_world import NOON, Time, absent, put

ROUTE = "/content/{id}"


@pytest.fixture
def at() -> Time:
    return Time()


def test_a_hit_has_what_an_answer_needs(at: Time) -> None:
    near = at.near()
    kept = put(near, "/a", at.row())
    hit = near.get("/a")
    assert hit is not None
    assert hit is kept
    assert (hit.status, hit.etag, hit.body) == (200, b'"tag"', b"body")
    assert (hit.filled_at, hit.route, hit.head) == (NOON + 100, ROUTE, b'head of "tag"')
    assert (near.get("/b"), len(near)) == (None, 1)


def test_a_put_replaces(at: Time) -> None:
    near = at.near()
    put(near, "/a", at.row(b"old" * 100))
    kept = put(near, "/a", at.row(b"new"))
    assert near.get("/a") is kept is not None
    assert (len(near), near.bytes) == (1, kept.cost_bytes)


def test_remove_and_clear_forget_and_give_the_bytes_back(at: Time) -> None:
    near = at.near()
    for key in ("/a", "/b", "/c"):
        put(near, key, at.row())
    near.remove("/b")
    near.remove("/b")
    assert (near.get("/b"), len(near)) == (None, 2)
    near.clear()
    assert (near.get("/a"), len(near), near.bytes) == (None, 0, 0)
    assert put(near, "/a", at.row()) is near.get("/a") is not None


def test_off_keeps_nothing_and_on_again_begins_empty(at: Time) -> None:
    near = at.near()
    put(near, "/a", at.row())
    near.disable()
    assert put(near, "/b", at.row()) is None
    assert (near.enabled, near.get("/a"), len(near)) == (False, None, 0)
    near.enable()
    assert (near.enabled, near.get("/a"), near.get("/b")) == (True, None, None)
    assert put(near, "/a", at.row())


def test_a_row_expires_after_its_ttl_and_is_dropped_by_the_get(at: Time) -> None:
    near = at.near(ttl_s=10)
    put(near, "/a", at.row())
    at.now_s += 9.99
    assert near.get("/a")
    at.now_s += 0.01
    assert near.get("/a") is None
    assert (len(near), near.bytes, near.evictions) == (0, 0, 0)


def test_jitter_only_shortens_and_by_a_tenth_at_most(at: Time) -> None:
    at.jitter = 1.0
    near = at.near(ttl_s=10)
    put(near, "/a", at.row())
    at.now_s += 8.99
    assert near.get("/a")
    at.now_s += 0.02
    assert near.get("/a") is None


def test_nothing_is_served_past_its_own_ttl_whenever_it_was_filled(at: Time) -> None:
    near = at.near(ttl_s=10)
    entry = at.row(ttl_s=5)
    at.now_s += 3
    put(near, "/a", entry)
    at.now_s += 1.99
    assert near.get("/a")
    at.now_s += 0.01
    assert near.get("/a") is None
    assert put(near, "/a", entry) is None


def test_a_ttl_beyond_that_of_the_cache_does_not_prolong_it(at: Time) -> None:
    near = at.near(ttl_s=10)
    put(near, "/a", at.row(ttl_s=60))
    at.now_s += 10
    assert near.get("/a") is None


def test_a_fill_from_a_clock_ahead_of_ours_is_new_and_no_more(at: Time) -> None:
    near = at.near(ttl_s=10)
    entry = at.row(ttl_s=5)
    entry.filled_at += 60
    put(near, "/a", entry)
    at.now_s += 5
    assert near.get("/a") is None


def test_a_negative_entry_has_its_own_short_ttl_and_no_head(at: Time) -> None:
    near = at.near(ttl_s=10)
    kept = put(near, "/a", absent(ttl_s=2))
    assert kept is not None
    assert (kept.status, kept.head) == (404, b"")
    at.now_s += 1.99
    assert near.get("/a") is kept
    at.now_s += 0.01
    assert near.get("/a") is None


def test_a_negative_entry_lives_no_longer_than_a_row(at: Time) -> None:
    near = at.near(ttl_s=1)
    put(near, "/a", absent(ttl_s=5))
    at.now_s += 1.0
    assert near.get("/a") is None
