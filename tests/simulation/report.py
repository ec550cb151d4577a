"""What many schedules have shown, as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.simulation.runner import Summary

EXAMPLES = 20


def progress_line(summary: Summary, count: int, seconds: float) -> str:
    """One line: how far, how fast, how many kinds of faults were met, and findings."""
    rate = summary.schedules / seconds if seconds else 0.0
    return (
        f"{summary.schedules:,} of {count:,} schedules, {rate:,.0f}/s, "
        f"{len(summary.faults)} kinds of faults, {sum(summary.faults.values()):,} faults, "
        f"{len(summary.failures)} findings"
    )


def summary_lines(summary: Summary, seeds: range) -> Iterator[str]:
    """The end of a run."""
    yield f"seeds {seeds.start:,} to {seeds.stop - 1:,}; {summary.events:,} events"
    yield f"{summary.virtual_s / 3600:,.1f} hours of virtual time"
    yield f"faults: {_told(summary.faults)}"
    yield f"answers: {_told(summary.counts)}"
    kinds = Counter(kind for _, kind, _ in summary.failures)
    yield f"violations: {_told(kinds) or 'none'}"
    for seed, kind, detail in summary.failures[:EXAMPLES]:
        yield f"  seed {seed}: {kind}: {detail}"


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
