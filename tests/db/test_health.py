"""What is known of a store: when it counts as down, and that it is said once."""

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
    for text in ("gone", "still gone", "gone"):
        health.failed(Unavailable(text))
        health.turn("down", f"connecting: {text}")
    health.answered()
    assert caplog.messages == ["Cassandra is up", "Cassandra is down: gone", "Cassandra is up"]


def test_every_reason_not_to_have_started_is_said(caplog: pytest.LogCaptureFixture) -> None:
    health = Health()
    for reason in ("no host", "no host", "no password"):
        health.turn("starting", reason)
    said = [f"Cassandra is starting: {reason}" for reason in ("no host", "no password")]
    assert caplog.messages == said


def test_an_outage_is_one_warning_whatever_fails_in_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    health = Health()
    health.answered()
    for name in ("reads", "writes"):
        health.refused(name, Unavailable("gone"))
    health.failed(Unavailable("gone"))
    health.refused("writes", Unavailable("gone"))
    health.answered()
    for name in ("reads", "writes"):
        health.worked(name)
    assert caplog.messages == ["Cassandra is up", "Cassandra is down: gone", "Cassandra is up"]


def test_a_sort_that_fails_is_said_once_the_store_is_known_to_be_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    health = Health()
    health.answered()
    health.refused("writes", Unavailable("disk is full"))
    assert not caplog.messages
    for _ in range(2):
        health.answered()
    assert caplog.messages == ["Cassandra: writes fail: disk is full"]


def test_a_sort_that_fails_degrades_until_the_same_sort_works() -> None:
    health = Health()
    health.answered()
    health.refused("writes", Unavailable("disk is full"))
    health.worked("reads")
    health.answered()
    assert health.state == ("degraded", "writes fail: disk is full")
    assert not health.is_down  # reads are not to be refused
    health.refused("reads", Unavailable("locked"))
    health.worked("writes")
    assert health.state == ("degraded", "reads fail: locked")
    health.worked("reads")
    assert health.state == ("up", "")


def test_one_late_answer_of_a_sort_is_a_busy_moment_and_two_degrade() -> None:
    health = Health()
    health.answered()
    health.refused("writes", Late(), late=True)
    health.worked("writes")
    health.refused("writes", Late(), late=True)
    health.refused("reads", Late(), late=True)
    assert health.state == ("up", "")
    health.refused("writes", Late("too late"), late=True)
    assert health.state == ("degraded", "writes fail: too late")


def test_an_outage_is_the_state_and_its_end_forgets_what_failed_in_it() -> None:
    health = Health()
    health.answered()
    health.refused("writes", Unavailable("gone"))
    health.failed(Unavailable("gone"))
    assert health.state == ("down", "gone")
    health.answered()
    assert health.state == ("up", "")


def test_a_sort_that_fails_now_and_then_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    health = Health("SQLite", clock=lambda: now)
    health.answered()
    caplog.clear()
    for _ in range(3):
        for _ in range(3):
            health.refused("writes", Unavailable("disk is full"))
            health.tell()
        health.worked("writes")
        health.worked("writes")
    assert caplog.messages == ["SQLite: writes fail: disk is full", "SQLite: writes work again"]
    now = 61.0
    health.refused("writes", Unavailable("disk is full"))
    health.tell()
    assert len(caplog.messages) == 3


def test_a_sort_that_was_forgotten_is_said_again(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    health = Health(clock=lambda: now[0])
    health.answered()
    for now[0] in (0.0, 100.0):
        health.refused("writes", Unavailable("disk is full"))
        for _ in range(2):
            health.answered()
        now[0] += 61.0
        health.answered()
        assert health.state[0] == "up"
    assert caplog.messages == ["Cassandra: writes fail: disk is full"] * 2


def test_a_sort_that_has_not_failed_for_a_minute_is_forgotten() -> None:
    now = [0.0]
    health = Health(clock=lambda: now[0])
    health.answered()
    health.refused("writes to genre", Unavailable("busy"))
    now[0] = 40.0
    health.refused("writes to genre", Unavailable("busy"))
    now[0] = 90.0
    health.answered()
    assert health.state[0] == "degraded"
    now[0] = 101.0
    health.answered()
    assert health.state == ("up", "")
