"""Metrics of several workers: each worker counts in its own files, and reads the files of all.

A worker takes a *seat*, a number that no other living worker has. Its files are named by that
number. A worker that replaces a dead worker takes the free seat, and counts on in its files. So no
counts are lost, and there are at most as many seats as there ever were workers at a time. A lock on
a file holds the seat. The kernel frees the lock when a worker dies, so no process ID is compared.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from middleware.tally import SharedTally

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder. Prometheus' client requires it by this name."""


class Shared:
    """This worker's share of the metrics in ``folder``. Make one in a process, before any metric,
    because only counters and gauges made later are kept in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seat, self._lock = _take_seat(folder)
        self._claim = os.open(folder, os.O_RDONLY)
        fcntl.flock(self._claim, fcntl.LOCK_SH)  # the folder is in use, even without the parent
        mark_process_dead(self.seat, str(folder))  # else its old gauges would count as ours
        values.ValueClass = values.MultiProcessValue(lambda: self.seat)
        self.registry: CollectorRegistry = _Registry()
        self.registry.register(_Files(folder))

    def tally(self, width: int) -> SharedTally:
        """Return rows for a collector that counts by itself. See ``SharedTally``."""
        return SharedTally(self._folder / f"{self.seat}.tally", width)


class _Registry(CollectorRegistry):
    """Registers no single metric, because a metric has only this worker's part of the counts."""

    def register(self, collector: Collector) -> None:
        if not isinstance(collector, MetricWrapperBase):
            super().register(collector)


class _Files(Collector):
    """Sums of the client's files in ``folder``, with live gauges of living workers only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        for path in self._folder.glob("*.seat"):
            with _locked(path) as is_vacant:
                if is_vacant:
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
    for seat in itertools.count():
        descriptor = os.open(folder / f"{seat}.seat", os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(descriptor):
            return seat, descriptor
        os.close(descriptor)
    raise AssertionError("there is always one more")


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Yield whether a seat is vacant. No worker takes a vacant seat within the block."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
