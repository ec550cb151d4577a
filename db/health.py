"""The state of a store: up, degraded, down, or not there yet. Each change is logged once.

A store is *down* while its probe fails: asking it is waiting in vain. It is *degraded* while the
probe is answered and requests of one sort fail: a full disk fails writes, and reads go on. The
first failure of a sort begins that. The first success of that sort ends it, or ``FORGET_S`` in
which none of that sort has failed: some are asked seldom. A single late answer is a busy moment, so
a late answer counts when the one before it was late, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from db.store import State
from errors import Late

logger = logging.getLogger("content")

FORGET_S = 60.0
SAY_S = 60.0
"""A sort that fails now and then is logged no more often."""


class Health:
    """``state`` is the state and, when not up, the reason. ``late`` counts the probes in a row that
    were late. ``refused`` and ``worked`` may be called from any thread."""

    def __init__(
        self,
        name: str = "Cassandra",
        reason: str = "connecting to Cassandra",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.late = 0
        self._name, self._clock = name, clock
        self._turned: tuple[State, str] = ("starting", reason)
        self._late_sorts: set[str] = set()
        self._failing: dict[str, str] = {}
        self._failed_s: dict[str, float] = {}
        self._said_s: dict[str, float] = {}
        self._to_end: set[str] = set()

    @property
    def state(self) -> tuple[State, str]:
        if self._turned[0] == "up" and self._failing:
            return "degraded", "; ".join(f"{k} fail: {v}" for k, v in self._failing.copy().items())
        return self._turned

    @property
    def is_down(self) -> bool:
        """Whether it was there and is not: asking it now would be waiting in vain."""
        return self._turned[0] == "down"

    def answered(self) -> None:
        """The probe was answered. After an outage nothing is known of any sort."""
        self.late = 0
        if self._turned[0] != "up":
            self._failing.clear()
        now = self._clock()
        for sort in list(self._failing):
            if now - self._failed_s[sort] > FORGET_S:
                self._failing.pop(sort, None)
        self.turn("up", "")

    def failed(self, error: Exception) -> None:
        """The probe failed."""
        self.late = self.late + 1 if isinstance(error, Late | TimeoutError) else 2
        if self.late > 1:
            self.turn("down", reason_of(error))

    def is_failing(self, sort: str) -> bool:
        return sort in self._failing

    def worked(self, sort: str) -> None:
        """A request of ``sort`` has succeeded."""
        self.late = 0
        self._late_sorts.discard(sort)
        self._failing.pop(sort, None)
        if sort in self._to_end:
            self._to_end.discard(sort)
            logger.info("%s: %s work again", self._name, sort)

    def refused(self, sort: str, error: BaseException, *, late: bool = False) -> None:
        """A request of ``sort`` has failed with the driver's ``error``."""
        if late and sort not in self._late_sorts:
            self._late_sorts.add(sort)
            return
        self._failed_s[sort] = self._clock()
        if sort not in self._failing:
            self._failing[sort] = reason_of(error)
            self._say(sort)

    def turn(self, state: State, reason: str) -> None:
        if (state, reason) != self._turned:
            logger.log(
                logging.INFO if state == "up" else logging.WARNING,
                "%s is %s%s",
                self._name,
                state,
                reason and f": {reason}",
            )
        self._turned = (state, reason)

    def _say(self, sort: str) -> None:
        now = self._clock()
        if now - self._said_s.get(sort, -SAY_S) >= SAY_S:
            self._said_s[sort] = now
            self._to_end.add(sort)
            logger.warning("%s: %s fail: %s", self._name, sort, self._failing[sort])


def reason_of(error: BaseException) -> str:
    """The driver's own text, for the log and ``/readyz``; callers get ours."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
