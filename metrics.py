"""Metrics for a scrape: of one process, or of several workers that share them by files.

Several workers use Prometheus' multiprocess mode: each keeps its metrics in files, and a scrape of
any worker adds up all files. A worker takes a *seat*, a number that no other living worker has, and
its files are named by that number. A lock on the file of the histograms holds the seat. A worker
that replaces a dead worker takes the free seat, and counts on in its files. So counts stay, and
there are no more files than workers at a time.
"""

import asyncio
import fcntl
import itertools
import os
import platform
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Metric, generate_latest, values
from prometheus_client.metrics import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder. Prometheus' client requires it by this name."""
PERIOD_S = 1.0
HISTOGRAM_BYTES = 512 * 1024
"""Room for histograms with about 100 combinations of labels. A full file grows."""
# from 10 us, because a near hit takes a few and a Redis hit some hundred
BUCKETS_S = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
Read = Callable[[], float]
Mode = Literal["livesum", "livemin"]
_ZEROS = (0.0,) * (len(BUCKETS_S) + 2)  # one count above every bound, and the sum


class Publisher(CollectorRegistry):
    """A registry that sets metrics to the numbers of other objects, once a second.

    It does so from ``open`` to ``close``, and before each scrape of ``shared``, or else of its own
    metrics. A scrape alone is not enough, because it meets one of several workers, which reads
    the numbers of the others from files. A metric that is set at each request costs the request 1
    to 2 us.
    """

    def __init__(self, shared: Collector | None = None) -> None:
        """Make this before any metric with a creation time, whose series workers do not have."""
        disable_created_metrics()
        super().__init__()
        self._scraped = shared or self
        self._updates: list[Callable[[], None]] = []

    def gauge(self, name: str, text: str, read: Read, mode: Mode = "livesum") -> None:
        """Add a gauge of what ``read`` returns."""
        added = gauge(name, text, self, mode)
        self.add(lambda: added.set(read()))

    def counter(self, name: str, text: str, read: Read) -> None:
        """Add a counter of what ``read`` returns, which never falls."""
        added, published = Counter(name, text, registry=self), 0.0

        def update() -> None:
            nonlocal published
            now = read()
            added.inc(now - published)
            published = now

        self.add(update)

    def add(self, *updates: Callable[[], None]) -> None:
        """Add functions that set metrics of their own."""
        self._updates += updates

    async def open(self) -> None:
        """Publish now, and then once a second."""
        self._again()

    async def close(self) -> None:
        """Publish for the last time."""
        self._timer.cancel()
        self.publish()

    def publish(self) -> None:
        """Set all metrics to the numbers as they are now."""
        for update in self._updates:
            update()

    def scrape(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        self.publish()
        return generate_latest(self._scraped)

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S, self._again)
        self.publish()  # last, because the timer must go on after an error


def gauge(name: str, text: str, registry: CollectorRegistry, mode: Mode = "livesum") -> Gauge:
    """Return a gauge. ``mode`` makes one value of those of several workers, without dead ones."""
    return Gauge(name, text, registry=registry, multiprocess_mode=mode)


class Timings:
    """A ``histogram`` of seconds with ``labels``; without a registry it can be registered later.

    Observations are counted in plain rows of numbers, which ``publish`` moves to Prometheus'
    histogram. That histogram itself costs 2 us for each observation, a third of a near hit.
    """

    def __init__(self, name: str, text: str, registry: CollectorRegistry | None, *labels: str):
        self.histogram = Histogram(name, text, labels, buckets=BUCKETS_S, registry=registry)
        # by labels: the counts of a series, a bucket each, and then the sum
        self._rows: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [*_ZEROS])

    def count(self, seconds: float, *labels: str) -> None:
        """Count one observation."""
        row = self._rows[labels]
        row[bisect_left(BUCKETS_S, seconds)] += 1.0
        row[-1] += seconds

    @contextmanager
    def timed(self, *labels: str) -> Iterator[None]:
        """Count the seconds of the block, however it ends."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.count(time.monotonic() - began, *labels)

    def publish(self) -> None:
        """Move the counts since the last call to the histogram."""
        for labels, row in self._rows.items():
            if any(row):
                series = self.histogram.labels(*labels)
                for value, number in zip((*series._buckets, series._sum), row, strict=True):
                    value.inc(number)
                row[:] = _ZEROS


def build_info(version: str, registry: CollectorRegistry) -> None:
    """Show which release runs on which Python, as a gauge that is always 1."""
    name, text = "content_build_info", "The release of the service, and the version of its Python."
    labels = {"version": version, "python": platform.python_version()}
    info = Gauge(name, text, labels, registry=registry, multiprocess_mode="livemax")
    info.labels(**labels).set(1)


def share() -> Collector:
    """Return the sums over all workers, with live gauges.

    Call this in a worker before it makes any metric, because only metrics made later are kept in
    files.
    """
    folder = Path(os.environ[FOLDER])
    for seat in itertools.count():
        # stays open, and so locked, until this process ends in any way
        histograms = os.open(folder / f"histogram_{seat}.db", os.O_RDWR | os.O_CREAT, 0o600)
        with suppress(BlockingIOError):
            fcntl.flock(histograms, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        os.close(histograms)
    # in full, so that a full disk is an error here, and no SIGBUS at a later count
    os.posix_fallocate(histograms, 0, HISTOGRAM_BYTES)
    mark_process_dead(seat, folder)  # else the gauges of a dead worker would count as ours
    values.ValueClass = values.MultiProcessValue(lambda: seat)
    return _Seats(folder)


class _Seats(Collector):
    """The sums over all files in ``folder``, without gauges of workers that have died."""

    def __init__(self, folder: Path):
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        for path in self._folder.glob("histogram_*.db"):
            with path.open() as histograms, suppress(BlockingIOError):
                fcntl.flock(histograms, fcntl.LOCK_EX | fcntl.LOCK_NB)
                mark_process_dead(path.stem.partition("_")[2], self._folder)
        files = []
        for path in self._folder.glob("*.db"):
            # a file that is being made is empty, and another scrape may have removed this one
            with suppress(FileNotFoundError):
                files += [str(path)] if path.stat().st_size else []
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)
        return metrics
