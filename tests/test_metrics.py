"""Shared metrics: a seat is one worker's; its heir counts on, and has gauges of its own."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Metric, values
from prometheus_client.parser import text_string_to_metric_families

import metrics
from metrics import FOLDER, HISTOGRAM_BYTES, Publisher, build_info, gauge, share
from middleware.timing import RequestMetrics

Join = Callable[[], "Worker"]


def samples(found: Iterable[Metric]) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for metric in found
        for each in metric.samples
    }


def histograms() -> set[int]:
    """The descriptors of histograms' files in this process."""
    found = {}
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found[int(each.name)] = os.readlink(each)
    return {number for number, path in found.items() if Path(path).name.startswith("histogram_")}


class Worker:
    """What a process of its own would have: metrics made after it has joined."""

    def __init__(self) -> None:
        before = histograms()
        self.shared = share()
        (self.seat,) = histograms() - before
        self.is_alive = True
        self._values = values.ValueClass
        self.publisher = Publisher(self.shared)
        self.counter = Counter("things", "Things.", registry=self.publisher)
        self.up = gauge("up", "Up.", self.publisher)
        self.requests = RequestMetrics(self.publisher)
        self.publisher.add(self.publish)

    def publish(self) -> None:
        """With its own files, as in a process of its own."""
        values.ValueClass = self._values
        self.requests.publish()

    def die(self) -> None:
        """Free the seat, as the end of a process does."""
        if self.is_alive:
            os.close(self.seat)
        self.is_alive = False

    def sees(self) -> tuple[float | None, float | None, float | None]:
        """Things, those up, and requests."""
        text = self.publisher.scrape().decode()
        found = samples(text_string_to_metric_families(text))
        labels = {"route": "/", "method": "GET", "outcome": "ok", "layer": ""}
        requests = ("content_request_seconds_count", frozenset(labels.items()))
        nothing: frozenset[tuple[str, str]] = frozenset()
        return found["things_total", nothing], found["up", nothing], found[requests]


@pytest.fixture
def join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Join]:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)  # each worker sets its own
    team: list[Worker] = []

    def make() -> Worker:
        team.append(Worker())
        return team[-1]

    yield make
    for worker in team:
        worker.die()


def count(worker: Worker, times: int) -> None:
    worker.counter.inc(times)
    worker.up.set(1)
    for _ in range(times):
        worker.requests.observe("/", "GET", 200, 0.001, "")
    worker.publish()


def test_everybody_sees_what_all_published(join: Join) -> None:
    team = [join() for _ in range(3)]
    for done, worker in enumerate(team, 1):
        count(worker, 10)
        assert [each.sees() for each in team] == [(10 * done, done, 10 * done)] * 3


def test_whoever_is_asked_publishes_first(join: Join) -> None:
    one, other = join(), join()
    count(one, 5)
    count(other, 1)
    one.requests.observe("/", "GET", 200, 0.001, "")
    assert other.sees() == (6, 2, 6)
    assert one.sees() == other.sees() == (6, 2, 7)


def test_an_heir_takes_the_seat_and_counts_on(join: Join) -> None:
    one, other = join(), join()
    count(one, 5)
    count(other, 1)
    one.die()
    assert other.sees() == (6, 1, 6)  # the dead worker's gauges have gone
    heir = join()
    assert other.sees() == (6, 1, 6)
    count(heir, 2)
    assert other.sees() == heir.sees() == (8, 2, 8)


def test_what_holds_for_each_of_several_workers_is_their_least(join: Join) -> None:
    team, values_of = [join() for _ in range(3)], [1, 0, 1]
    for worker, value in zip(team, values_of, strict=True):
        worker.publish()  # into its own files from here on
        numbers = Publisher()
        numbers.gauge("answers", "Whether it answers.", partial(float, value), "livemin")
        numbers.counter("calls", "Calls.", partial(float, 5 + value))
        build_info("1.0.0", numbers)
        numbers.publish()
        numbers.publish()

    def seen() -> tuple[float, float, float]:
        found = {name: value for (name, _), value in samples(team[0].shared.collect()).items()}
        return found["answers"], found["calls_total"], found["content_build_info"]

    assert seen() == (0, 17, 1)
    team[1].die()
    assert seen() == (1, 17, 1)  # the least of those who live


def test_there_are_no_more_files_than_there_were_workers(join: Join, tmp_path: Path) -> None:
    first, second = join(), join()
    count(first, 1)
    count(second, 1)
    before = sorted(tmp_path.iterdir())
    for done in range(3, 12):
        second.die()
        second = join()
        count(second, 1)
        assert first.sees() == (done, 2, done)
    assert sorted(tmp_path.iterdir()) == before


def test_heirs_without_end_do_not_fill_a_file(join: Join, tmp_path: Path) -> None:
    for done in range(1, 101):
        heir = join()
        count(heir, 1)
        assert heir.sees() == (done, 1, done)
        heir.die()
    file = (tmp_path / "histogram_0.db").stat()
    assert file.st_size == HISTOGRAM_BYTES  # it has not grown
    assert file.st_blocks * 512 >= HISTOGRAM_BYTES  # no hole that a full disk leaves empty


def test_a_file_that_is_being_made_does_not_fail_a_scrape(join: Join, tmp_path: Path) -> None:
    worker = join()
    count(worker, 1)
    (tmp_path / "counter_7.db").touch()
    assert worker.sees() == (1, 1, 1)


def test_several_workers_show_the_series_that_one_process_shows(join: Join) -> None:
    registry = CollectorRegistry()
    alone = RequestMetrics(registry)

    def observe(requests: RequestMetrics, *durations_s: float) -> None:
        for seconds in durations_s:
            requests.observe("/content/{id}", "GET", 200, seconds, "near")

    observe(alone, 0.0001, 0.001, 0.25, 3.0)
    alone.publish()  # before there are workers, so that its values are in no file
    team = [join(), join()]
    observe(team[0].requests, 0.0001, 0.25)
    observe(team[1].requests, 0.001, 3.0)
    for worker in team:
        worker.publish()
    together = [each for each in team[0].shared.collect() if each.name.startswith("content")]
    assert samples(together) == samples(registry.collect()) != {}


async def test_a_number_is_published_at_once_and_again_until_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "PERIOD_S", 0.0)
    number, published = 1, 0

    def publish() -> None:
        nonlocal published
        published = number

    publisher = Publisher()
    publisher.add(publish)
    await publisher.open()
    assert published == 1
    for number in (2, 3):
        await asyncio.sleep(0.01)
        assert published == number
    number = 4
    await publisher.close()
    assert published == 4
    number = 5
    await asyncio.sleep(0.01)
    assert published == 4


async def test_an_error_does_not_end_the_publishing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "PERIOD_S", 0.0)
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    calls = 0

    def publish() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError

    publisher = Publisher()
    publisher.add(publish)
    await publisher.open()
    await asyncio.sleep(0.01)
    await publisher.close()
    assert len(errors) == 1
    assert calls > 3
