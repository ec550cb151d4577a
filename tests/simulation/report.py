"""What many schedules have shown, as lines for people."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.simulation.runner import Summary

EXAMPLES = 20
PAGE = Path("docs/consistency.md")


def progress_line(summary: Summary, count: int, seconds: float) -> str:
    """One line: how far, how fast, how many kinds of faults were met, and findings."""
    rate = summary.schedules / seconds if seconds else 0.0
    return (
        f"{summary.schedules:,} of {count:,} schedules, {rate:,.0f}/s, "
        f"{len(summary.faults)} kinds of faults, {sum(summary.faults.values()):,} faults, "
        f"{len(summary.failures)} findings"
    )


def write(section: str, lines: Iterable[str]) -> None:
    """Put ``lines`` between the two marks of a section of the documentation."""
    begin, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    head, _, rest = PAGE.read_text().partition(begin)
    _, _, tail = rest.partition(end)
    PAGE.write_text(head + begin + "\n".join(lines) + "\n" + end + tail)


def page_lines(summary: Summary, seeds: range, seconds: float, workers: int) -> Iterator[str]:
    """A run for the documentation."""
    rate = summary.schedules / seconds
    operations = sum(summary.counts.values())
    kinds = Counter(kind for _, kind, _ in summary.failures)
    yield (
        f"{summary.schedules:,} schedules, seeds {seeds.start:,} to {seeds.stop - 1:,}, in "
        f"{seconds / 60:,.0f} minutes on {workers} cores: {rate:,.0f} a second, "
        f"{operations / seconds:,.0f} operations a second. "
        f"{summary.virtual_s / 3600:,.0f} hours of virtual time, {operations:,} operations, "
        f"{sum(summary.faults.values()):,} faults. "
        f"Violations: {_told(kinds) or 'none'}."
    )
    yield ""
    yield "| fault | times |"
    yield "|---|---|"
    for name, count in summary.faults.most_common():
        yield f"| {name} | {count:,} |"


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
