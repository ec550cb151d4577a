"""What is read from Redis is put near, by its route and with its age."""

import pytest

from bench.lab.servers import RedisServer
from cache.entry import Entry
from cache.keys import GENRE_ROUTE, ROW_ROUTE, genre_key, row_key
from cache.near import Near
from cache.reads import LIST_TTL_S
from tests.cache.conftest import OpenRows
from tests.cache.redis_world import filled, until

NOW = 1_000_000.0
ROW, LIST = row_key("0f8fad5b-d9cb-469f-a165-70867728950e"), genre_key("Drama")


@pytest.mark.parametrize(("key", "route"), [(ROW, ROW_ROUTE), (LIST, GENRE_ROUTE)])
async def test_a_value_is_kept_under_its_route(
    open_rows: OpenRows, redis: RedisServer, key: str, route: str
) -> None:
    near = Near(100_000, 60.0)
    rows = await open_rows(redis, near=near)
    await filled(rows, key)
    await until(lambda: near.enabled)
    await rows.get(key)
    kept = near.get(key)
    assert kept is not None
    assert kept.route == route


def test_a_list_ages_in_redis_and_near_together_and_a_row_outlives_its_stay() -> None:
    near = Near(100_000, 60.0, clock=lambda: 0.0, wall=lambda: NOW, jitter=lambda: 0.0)
    for age_s in (0.0, 2.0, 4.5):
        near.put(LIST, Entry(b"list", b'"tag"', NOW - age_s, LIST_TTL_S))
        kept = near.get(LIST)
        assert kept is not None
        assert kept.expires_at == LIST_TTL_S - age_s
    near.put(LIST, Entry(b"list", b'"tag"', NOW - LIST_TTL_S, LIST_TTL_S))
    assert near.get(LIST) is None
    near.put(ROW, Entry(b"row", b'"tag"', NOW - 3_000.0, 3_600.0))
    row = near.get(ROW)
    assert row is not None
    assert row.expires_at == 60.0
