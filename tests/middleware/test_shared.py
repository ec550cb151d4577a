"""Shared metrics: a seat is one worker's, and its counters outlive it, but not its gauges."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, values

from middleware.shared import FOLDER, Shared
from middleware.timing import RequestMetrics

Join = Callable[[], "Worker"]


class Worker:
    """What a process of its own would have: metrics made after it has joined."""

    def __init__(self, folder: Path) -> None:
        self.shared = Shared(folder)
        registry = self.shared.registry
        self.counter = Counter("things", "Things.", registry=registry)
        self.up = Gauge("up", "Up.", registry=registry, multiprocess_mode="livesum")
        self.requests = RequestMetrics(registry, self.shared)

    def die(self) -> None:
        os.close(self.shared._lock)

    def sees(self) -> tuple[float | None, float | None, float | None]:
        """Things, those up, and requests."""
        labels = {"route": "/", "method": "GET", "outcome": "ok", "layer": ""}
        of = self.shared.registry.get_sample_value
        return of("things_total"), of("up"), of("content_request_seconds_count", labels)


@pytest.fixture
def join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Join:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)  # each worker sets its own
    return lambda: Worker(tmp_path)


def count(worker: Worker, times: int) -> None:
    worker.counter.inc(times)
    worker.up.set(1)
    for _ in range(times):
        worker.requests.observe("/", "GET", 200, 0.001)


def test_everybody_sees_what_all_counted_at_once(join: Join) -> None:
    team = [join() for _ in range(3)]
    for done, worker in enumerate(team, 1):
        count(worker, 10)
        assert [each.sees() for each in team] == [(10 * done, done, 10 * done)] * 3


def test_what_the_dead_counted_stays_and_their_gauges_go(join: Join) -> None:
    one, other = join(), join()
    count(one, 5)
    count(other, 1)
    one.die()
    assert other.sees() == (6, 1, 6)


def test_an_heir_takes_the_seat_and_counts_on(join: Join) -> None:
    one, other = join(), join()
    count(one, 5)
    count(other, 1)
    one.die()
    heir = join()  # before anybody has looked
    assert (heir.shared.seat, join().shared.seat) == (one.shared.seat, 2)
    assert other.sees() == (6, 1, 6)
    count(heir, 2)
    assert other.sees() == heir.sees() == (8, 2, 8)


def test_there_are_no_more_files_than_there_were_workers(join: Join, tmp_path: Path) -> None:
    first, second = join(), join()
    count(first, 1)
    count(second, 0)
    before = sorted(tmp_path.iterdir())
    for done in range(2, 12):
        second.die()
        second = join()
        count(second, 1)
        assert first.sees() == (done, 2, done)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_just_being_made_hinders_no_scrape(join: Join, tmp_path: Path) -> None:
    worker = join()
    count(worker, 1)
    (tmp_path / "counter_7.db").touch()
    assert worker.sees() == (1, 1, 1)
