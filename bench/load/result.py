"""The result of a load: one line a request, so that every question can be asked afterwards."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

FOREVER = float("inf")
SLIP_S = 0.01
"""A request that left later than this after it was due, for want of time of ours, is a late one."""
GOOD = frozenset((200, 201, 304))


class Line(NamedTuple):
    """One request. ``latency_s`` counts from ``due_s``, by the monotonic clock; ``served_s`` is
    Server-Timing's, or nan; ``slip_s`` is how late the generator was; ``detail`` is Cache-Status's.
    ``status`` is 0 without an answer, and then ``error`` says why: ``refused``, ``reset``,
    ``closed`` (an orderly end), ``unanswered`` (given up), ``malformed``, ``no port`` or ``no
    descriptor`` (ours, not the server's)."""

    due_s: float
    latency_s: float
    served_s: float
    slip_s: float
    kind: str
    status: int
    detail: str
    is_wrong: bool
    error: str

    @property
    def is_good(self) -> bool:
        """Whether the answer is a right one of success."""
        return self.status in GOOD and not self.is_wrong


@dataclass
class Tally:
    """Requests summed up. ``latencies_s`` has every answer, and the wait for each request that was
    given up; a connection that was refused or broke is in ``errors`` alone. ``good`` are the right
    answers of success within the deadline, and ``details`` has those of any time."""

    total: int = 0
    good: int = 0
    failed: int = 0
    wrong: int = 0
    late: int = 0
    worst_slip_s: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    details: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)

    def add(self, line: Line, deadline_s: float = FOREVER) -> None:
        """Add a line; its answer is good if it is right and came within ``deadline_s``."""
        self.total += 1
        self.good += line.is_good and line.latency_s <= deadline_s
        self.failed += not line.is_good
        self.wrong += line.is_wrong
        self.late += line.slip_s > SLIP_S
        self.worst_slip_s = max(self.worst_slip_s, line.slip_s)
        if line.error:
            self.errors[line.error] += 1
        else:
            self.statuses[line.status] += 1
        if line.is_good:
            self.details[line.detail] += 1
        if line.error in ("", "unanswered"):
            self.latencies_s.append(line.latency_s)

    def join(self, other: "Tally") -> None:
        """Add the requests of another tally."""
        worst_slip_s = max(self.worst_slip_s, other.worst_slip_s)
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst_slip_s = worst_slip_s

    @property
    def is_clean(self) -> bool:
        """Whether there are answers, and all are right ones of success."""
        return self.total > 0 and not self.failed

    def percentile_s(self, percent: float) -> float:
        """Return a percentile of the latencies; 0 if nothing was counted."""
        ranked = sorted(self.latencies_s)
        return ranked[max(0, ceil(len(ranked) * percent / 100) - 1)] if ranked else 0.0

    def __str__(self) -> str:
        """Return everything that is not zero, in a line."""
        parts = [f"{self.total:,} requests: {_counts(self.statuses) or 'no answer'}"]
        parts += [_counts(self.details)] if any(self.details) else []
        parts += [f"{self.wrong:,} wrong"] if self.wrong else []
        parts += [f"errors: {_counts(self.errors)}"] if self.errors else []
        parts.append(
            f"p50 {self.percentile_s(50) * 1000:.1f}, p99 {self.percentile_s(99) * 1000:.0f} ms"
        )
        if self.late:
            parts.append(
                f"the generator was late {self.late:,} times, by {self.worst_slip_s:.2f} s"
            )
        return "; ".join(parts)


def _counts(counts: Counter[int] | Counter[str]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.most_common() if name != "")


class Result(list[Line]):
    """The requests of a load in the order of their ends; it may be read while the load goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.began_s = time.monotonic()

    def lines(
        self, kind: str | None = None, since_s: float = -FOREVER, until_s: float = FOREVER
    ) -> Iterator[Line]:
        """Yield the lines of a kind, or of all kinds, that were due between two moments."""
        for line in self:
            if since_s <= line.due_s < until_s and kind in (None, line.kind):
                yield line

    def tally(
        self,
        kind: str | None = None,
        since_s: float = -FOREVER,
        until_s: float = FOREVER,
        *,
        deadline_s: float = FOREVER,
    ) -> Tally:
        """Return the sum of the lines of a kind that were due between two moments."""
        tally = Tally()
        for line in self.lines(kind, since_s, until_s):
            tally.add(line, deadline_s)
        return tally

    def goodput(self, kind: str | None, deadline_s: float, width_s: float = 1.0) -> Counter[int]:
        """Return the good answers within the deadline by the window in which they were due, counted
        from the load's begin."""
        windows: Counter[int] = Counter()
        for line in self.lines(kind):
            if line.is_good and line.latency_s <= deadline_s:
                windows[int((line.due_s - self.began_s) / width_s)] += 1
        return windows
