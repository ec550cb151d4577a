"""Metrics that several workers share: each counts in files of its own, each reads those of all.

A worker takes a *seat*, a number that no other living worker has, and its files bear that number.
Who comes after one that died takes its seat and counts on in its files: so what the dead counted
stays, and there are no more files than there ever were workers at a time. The kernel frees a seat,
since it is held by a lock, and there is no process id to be mistaken about.
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
"""The variable that names the folder, to us and to Prometheus' client, which has to have it."""


class Shared:
    """This worker's share of the metrics in ``folder``; one in a process, and made before any
    metric is: counters and gauges made after it are kept in files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seat, self._lock = _take_seat(folder)
        self._claim = os.open(folder, os.O_RDONLY)
        fcntl.flock(self._claim, fcntl.LOCK_SH)  # in use, although the parent may be gone
        mark_process_dead(self.seat, str(folder))  # its gauges would be ours until we set them
        values.ValueClass = values.MultiProcessValue(lambda: self.seat)
        self.registry: CollectorRegistry = _Registry()
        self.registry.register(_Files(folder))

    def tally(self, width: int) -> SharedTally:
        """For a collector that counts by itself; see ``SharedTally``."""
        return SharedTally(self._folder / f"{self.seat}.tally", width)


class _Registry(CollectorRegistry):
    """Holds what reads the files of all workers. A counter knows but its own part of them."""

    def register(self, collector: Collector) -> None:
        if not isinstance(collector, MetricWrapperBase):
            super().register(collector)


class _Files(Collector):
    """Sums of what Prometheus' client keeps in ``folder``; live gauges of living workers only."""

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
    """An empty file is just being made, and its reader would raise; another scrape may just have
    removed one."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _take_seat(folder: Path) -> tuple[int, int]:
    """The first seat that is vacant, and the descriptor that holds it while the process lives."""
    for seat in itertools.count():
        descriptor = os.open(folder / f"{seat}.seat", os.O_RDWR | os.O_CREAT, 0o600)
        if _lock(descriptor):
            return seat, descriptor
        os.close(descriptor)
    raise AssertionError("there is always one more")


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether nobody sat there; nobody takes the seat within the block."""
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
