"""The calculation grows with what is asked, and says what gives out."""

from __future__ import annotations

from dataclasses import replace

from bench.sizing import LEAST_NODES, LEAST_REPLICAS, Measured, Site, needs, report

SMALL = Site(rate=100, rows=10_000)


def test_a_small_site_gets_the_least_that_survives_a_failure() -> None:
    need = needs(SMALL, Measured())
    assert (need.replicas, need.nodes) == (LEAST_REPLICAS, LEAST_NODES)
    assert need.near_share == 1.0


def test_replicas_grow_with_the_rate_and_with_the_misses() -> None:
    busy = needs(replace(SMALL, rate=500_000), Measured())
    missing = needs(replace(SMALL, rate=500_000, near=0.5, redis=0.3), Measured())
    assert LEAST_REPLICAS < busy.replicas < missing.replicas
    assert missing.nodes > LEAST_NODES


def test_memory_and_disk_grow_with_the_catalogue_and_the_row() -> None:
    one = needs(SMALL, Measured())
    ten = needs(replace(SMALL, rows=100_000), Measured())
    assert ten.redis_bytes > 9 * one.redis_bytes
    assert ten.node_disk_bytes > 9 * one.node_disk_bytes
    assert needs(SMALL, Measured(row_bytes=8_000)).redis_bytes > 5 * one.redis_bytes


def test_what_gives_out_first_is_named() -> None:
    assert needs(SMALL, Measured()).stops == "nothing yet"
    assert "balancer" in needs(replace(SMALL, rate=100_000), Measured()).stops
    cold = replace(SMALL, rate=30_000, near=0.0, redis=1.0)
    assert "Redis" in needs(replace(cold, rate=100_000), Measured(balancer_us=0)).stops
    assert "gives out first" in report(SMALL, Measured())
