"""The calculation grows with what is asked, and says what gives out."""

from dataclasses import replace

from bench.sizing import LEAST, Site

SMALL = Site(rate=100, rows=10_000)


def test_a_small_site_gets_the_least_that_survives_a_failure() -> None:
    assert (SMALL.replicas, SMALL.nodes) == (LEAST, LEAST)
    assert SMALL.near_share == 1.0


def test_replicas_grow_with_the_rate_and_with_the_misses() -> None:
    busy = replace(SMALL, rate=500_000)
    missing = replace(busy, near=0.5, redis=0.3)
    assert LEAST < busy.replicas < missing.replicas
    assert missing.nodes > LEAST


def test_memory_and_disk_grow_with_the_catalogue_and_the_row() -> None:
    ten = replace(SMALL, rows=100_000)
    assert ten.redis_bytes > 9 * SMALL.redis_bytes
    assert ten.node_disk_bytes > 9 * SMALL.node_disk_bytes
    assert replace(SMALL, row_bytes=8_000).redis_bytes > 5 * SMALL.redis_bytes


def test_what_gives_out_first_is_named() -> None:
    assert SMALL.stops == "nothing yet"
    assert "balancer" in replace(SMALL, rate=100_000).stops
    cold = replace(SMALL, rate=100_000, near=0.0, redis=1.0, balancer_us=0)
    assert "Redis" in cold.stops
    assert "gives out first" in str(SMALL)
