"""Runs many schedules in processes that are forked for a few hundred of them each."""

import gc
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.simulation.draw import draw_plan
from tests.simulation.patched import Patched

CHUNK = 250
"""Schedules of one forked process; what they leave behind is freed by its end."""


@dataclass
class Summary:
    """What some schedules have shown; ``failures`` are (seed, kind, detail)."""

    schedules: int = 0
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    events: int = 0
    virtual_s: float = 0.0

    def add(self, other: "Summary") -> None:
        self.schedules += other.schedules
        self.failures += other.failures
        self.counts.update(other.counts)
        self.faults.update(other.faults)
        self.events += other.events
        self.virtual_s += other.virtual_s


def quiet() -> None:
    """No logs, no collector: a process that ends soon needs neither."""
    logging.disable(logging.CRITICAL)
    gc.disable()
    sys.unraisablehook = lambda _: None


def run_seeds(seeds: range) -> Summary:
    """Run these schedules in this process."""
    quiet()
    summary = Summary()
    with Patched() as patched:
        for seed in seeds:
            summary.schedules += 1
            try:
                outcome = patched.run(draw_plan(seed))
            except Exception as error:  # noqa: BLE001 - a fault of ours must not end a long run
                summary.failures.append((seed, "the simulation broke", repr(error)))
                continue
            summary.failures += [(seed, *each) for each in outcome.violations]
            summary.counts.update(outcome.counts)
            summary.faults.update(outcome.faults)
            summary.events += outcome.events
            summary.virtual_s += outcome.virtual_s
    return summary


def chunks(seeds: range) -> Iterator[range]:
    for first in range(seeds.start, seeds.stop, CHUNK):
        yield range(first, min(first + CHUNK, seeds.stop))


def run_many(
    seeds: range,
    workers: int,
    progress: Callable[[Summary, float], bool] = lambda summary, seconds: True,
) -> Summary:
    """Run all of them; ``progress`` is told after each chunk, and ends the run by False."""
    total, began = Summary(), time.perf_counter()
    fork = multiprocessing.get_context("fork")
    with fork.Pool(workers, maxtasksperchild=1) as pool:
        for part in pool.imap(run_seeds, chunks(seeds)):
            total.add(part)
            if not progress(total, time.perf_counter() - began):
                break
    return total


def first_failure(seeds: range) -> tuple[int, str, str] | None:
    """The first seed that breaks the promise, one after the other; and how."""
    fork = multiprocessing.get_context("fork")
    with fork.Pool(1, maxtasksperchild=1) as pool:
        for part in pool.imap(_until_failure, chunks(seeds)):
            if part is not None:
                return part
    return None


def _until_failure(seeds: range) -> tuple[int, str, str] | None:
    quiet()
    with Patched() as patched:
        for seed in seeds:
            if violations := patched.run(draw_plan(seed)).violations:
                return seed, *violations[0]
    return None
