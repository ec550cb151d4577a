"""Tracking: what Redis says is done to the near cache, at once."""

from __future__ import annotations

from cache.entry import Entry
from cache.keys import GENRE_ROUTE, ROW_ROUTE, genre_key, row_key
from cache.near import Near
from cache.staleness import LIST_TTL_S
from cache.tracking import Tracking
from tests.cache.redis_world import entry

NOW = 1_000_000.0
ROW, LIST = row_key("0f8fad5b-d9cb-469f-a165-70867728950e"), genre_key("Drama")


def near_of(ttl_s: float = 60.0) -> Near:
    return Near(100_000, ttl_s, clock=lambda: 0.0, wall=lambda: NOW, jitter=lambda: 0.0)


def test_values_are_kept_under_their_routes() -> None:
    near = near_of()
    said = Tracking(near)
    said.on_value(ROW, entry("row"))
    said.on_value(LIST, Entry(b"list", b'"tag"', NOW))
    row, listed = near.get(ROW), near.get(LIST)
    assert row is not None
    assert listed is not None
    assert (row.route, listed.route) == (ROW_ROUTE, GENRE_ROUTE)


def test_a_list_ages_in_redis_and_near_together_and_a_row_outlives_its_stay() -> None:
    near = near_of()
    said = Tracking(near)
    for age_s in (0.0, 2.0, 4.5):
        said.on_value(LIST, Entry(b"list", b'"tag"', NOW - age_s, LIST_TTL_S))
        kept = near.get(LIST)
        assert kept is not None
        assert kept.expires_at == LIST_TTL_S - age_s
    said.on_value(LIST, Entry(b"list", b'"tag"', NOW - LIST_TTL_S, LIST_TTL_S))
    assert near.get(LIST) is None
    said.on_value(ROW, Entry(b"row", b'"tag"', NOW - 3_000.0, 3_600.0))
    row = near.get(ROW)
    assert row is not None
    assert row.expires_at == 60.0


def test_an_invalidation_is_of_one_key_or_of_all() -> None:
    near = near_of()
    said = Tracking(near)
    for key in (ROW, LIST):
        said.on_value(key, Entry(b"x", b'"tag"', NOW))
    said.on_invalidate(ROW)
    assert (near.get(ROW) is None, near.get(LIST) is None) == (True, False)
    said.on_invalidate("a key that is not there")
    said.on_invalidate(None)
    assert len(near) == 0


def test_nothing_is_kept_while_invalidations_do_not_arrive() -> None:
    near = near_of()
    said = Tracking(near)
    said.on_value(ROW, entry())
    said.on_state(False)
    assert len(near) == 0
    said.on_value(ROW, entry())
    assert near.get(ROW) is None
    said.on_state(True)
    assert near.get(ROW) is None  # what was there before the gap may be out of date
    said.on_value(ROW, entry())
    assert near.get(ROW) is not None
