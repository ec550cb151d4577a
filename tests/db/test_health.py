"""What is known of a store: when it counts as down, and that it is said once."""

from __future__ import annotations

import logging

import pytest

from db.health import Health
from errors import Late, Unavailable


def test_one_late_probe_is_a_busy_moment_and_two_are_an_outage() -> None:
    health = Health()
    health.answered()
    health.failed(Late())
    assert not health.is_down
    health.failed(Late("too late"))
    assert health.state == ("down", "too late")
    health.answered()
    health.failed(Late())
    assert not health.is_down


def test_late_probes_are_no_outage_while_others_are_answered() -> None:
    health = Health()
    health.answered()
    for _ in range(5):
        health.failed(Late())
        health.late = 0  # as a read that was answered does
    assert not health.is_down


def test_a_store_that_is_away_is_down_at_once() -> None:
    health = Health()
    assert not health.is_down  # it never was there, which is another thing
    health.failed(Unavailable())
    assert health.is_down


def test_each_change_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    health = Health()
    for _ in range(3):
        health.answered()
    for _ in range(3):
        health.failed(Unavailable("gone"))
    health.answered()
    assert caplog.messages == ["Cassandra is up", "Cassandra is down: gone", "Cassandra is up"]
