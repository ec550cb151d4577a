"""Metrics for a scrape: of one process, or of several workers that share them by files.

A worker takes a *seat*, a number that no other living worker has. Its files are named by that
number. A worker that replaces a dead worker takes the free seat, and counts on in its files. So
published counts stay, and there are at most as many seats as there ever were workers at a time. A
lock on a file holds the seat. The kernel frees the lock when a worker dies, so no process ID is
compared.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from prometheus_client import Metric, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder. Prometheus' client requires it by this name."""
PERIOD_S = 1.0
HISTOGRAM_BYTES = 256 * 1024
"""Room for a histogram with about 75 combinations of labels. A full file grows."""


class Publisher:
    """Calls each function of ``publish``, which sets metrics, once a second from ``open`` to
    ``close``, and before each scrape of ``metrics``.

    A scrape alone is not enough, because it meets one of several workers, which reads the numbers
    of the others from files. A metric that is set at each request costs the request 1 to 2 us.
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


class Shared(Collector):
    """This worker's share of the metrics in ``folder``, and the sums over all workers, with live
    gauges of living workers only. Make one in a process, before any metric, because only metrics
    made later are kept in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seat, self._lock = _take_seat(folder)
        self._claim = os.open(folder, os.O_RDONLY)
        fcntl.flock(self._claim, fcntl.LOCK_SH)  # the folder is in use, even without the parent
        mark_process_dead(self.seat, str(folder))  # else its old gauges would count as ours
        with (folder / f"histogram_{self.seat}.db").open("a") as file:
            # in full, so that a full disk is an error here, and no SIGBUS at a later count
            os.posix_fallocate(file.fileno(), 0, HISTOGRAM_BYTES)
        values.ValueClass = values.MultiProcessValue(lambda: self.seat)

    def collect(self) -> Iterable[Metric]:
        """Return the sums over the files."""
        for path in self._folder.glob("*.seat"):
            with path.open("r+b") as file, suppress(BlockingIOError):
                _lock(file.fileno())  # no worker takes a vacant seat within the block
                mark_process_dead(int(path.stem), str(self._folder))
        files = [str(path) for path in self._folder.glob("*.db") if _is_filled(path)]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)
        return metrics


def _is_filled(path: Path) -> bool:
    """Return whether a file has content. A file that is being made is empty, and its reader would
    raise. Another scrape may have removed the file."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _take_seat(folder: Path) -> tuple[int, int]:
    """Return the first vacant seat, and the descriptor that holds it while this process lives."""
    seat = 0
    while True:
        descriptor = os.open(folder / f"{seat}.seat", os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(BlockingIOError):
            _lock(descriptor)
            return seat, descriptor
        os.close(descriptor)
        seat += 1


def _lock(descriptor: int) -> None:
    """Lock a seat. Raise BlockingIOError if a living worker holds it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
