"""Metrics for a scrape: of one process, or of several workers that share them by files.

Several workers use Prometheus' multiprocess mode: each keeps its metrics in files, and a scrape of
any worker adds up all files. A worker takes a *seat*, a number that no other living worker has, and
its files are named by that number. A worker that replaces a dead worker takes the free seat, and
counts on in its files. So counts stay, and there are no more files than workers at a time.
"""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Metric, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder. Prometheus' client requires it by this name."""
PERIOD_S = 1.0
HISTOGRAM_BYTES = 256 * 1024
"""Room for a histogram with about 75 combinations of labels. A full file grows."""


class Publisher:
    """Calls each function of ``publish``, which sets metrics, once a second.

    It does so from ``open`` to ``close``, and before each scrape of ``metrics``. A scrape alone is
    not enough, because it meets one of several workers, which reads the numbers of the others from
    files. A metric that is set at each request costs the request 1 to 2 us.
    """

    def __init__(self, metrics: Collector, *publish: Callable[[], None]) -> None:
        self._metrics = metrics
        self._publish = publish

    async def open(self) -> None:
        """Publish now, and then once a second."""
        self._again()

    async def close(self) -> None:
        """Publish for the last time."""
        self._timer.cancel()
        self._publish_all()

    def scrape(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self._publish_all()
        return generate_latest(self._metrics)

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._again)
        self._publish_all()  # last, because the timer must go on after an error

    def _publish_all(self) -> None:
        for publish in self._publish:
            publish()


def gauge(name: str, text: str, registry: CollectorRegistry) -> Gauge:
    """Return a gauge whose values several workers add up, without dead workers."""
    return Gauge(name, text, registry=registry, multiprocess_mode="livesum")


def share() -> Collector:
    """Return the sums over all workers, with live gauges.

    Call this in a worker before it makes any metric, because only metrics made later are kept in
    files.
    """
    folder = os.environ[FOLDER]
    seat = _take_seat(Path(folder))
    mark_process_dead(seat, folder)  # else the gauges of a dead worker would count as ours
    with Path(folder, f"histogram_{seat}.db").open("a") as file:
        # in full, so that a full disk is an error here, and no SIGBUS at a later count
        os.posix_fallocate(file.fileno(), 0, HISTOGRAM_BYTES)
    values.ValueClass = values.MultiProcessValue(lambda: seat)
    return _Seats(Path(folder))


class _Seats(Collector):
    """The sums over all files in ``folder``, without gauges of workers that have died."""

    def __init__(self, folder: Path):
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        for path in self._folder.glob("*.seat"):
            with path.open() as seat, suppress(BlockingIOError):
                fcntl.flock(seat, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mark_process_dead(path.stem, self._folder)
        files = [str(path) for path in self._folder.glob("*.db") if _is_filled(path)]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)
        return metrics


def _is_filled(path: Path) -> bool:
    """Return whether a file has content.

    A file that is being made is empty, and its reader would raise. Another scrape may have removed
    the file.
    """
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _take_seat(folder: Path) -> int:
    """Return the first vacant seat.

    A lock on a file holds it, which the kernel frees when this process ends in any way.
    """
    for seat in itertools.count():
        descriptor = os.open(folder / f"{seat}.seat", os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        os.close(descriptor)
    return seat
