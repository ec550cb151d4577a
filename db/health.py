"""The state of a store: starting, up, degraded or down. Each change is logged once.

A store is *down* while its probe fails, because requests would wait in vain. It is *degraded* while
its probe succeeds and requests of one sort fail. For example, a full disk fails writes, and reads
go on. A sort begins to fail with its first failure. It stops with its first success, or FORGET_S
after its last failure, because some sorts are rare. One late answer is a busy moment, so only a
second late answer in a row counts as a failure.
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
"""The least time between two warnings about the same sort."""


class Health:
    """The state of the store ``name`` and, if it is not up, the reason. ``late`` counts late probes
    in a row. ``refused`` and ``worked`` may be called from any thread."""

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
        """Return whether the store was up and is not, so that a request would wait in vain."""
        return self._turned[0] == "down"

    def answered(self) -> None:
        """Note an answered probe. After an outage forget the sorts, which may work again."""
        self.late = 0
        if self._turned[0] != "up":
            self._failing.clear()
        now = self._clock()
        for sort in list(self._failing):
            if now - self._failed_s[sort] > FORGET_S:
                self._failing.pop(sort, None)
        self.turn("up", "")

    def failed(self, error: Exception) -> None:
        """Note a failed probe: the store is down, unless this is the first late probe in a row."""
        self.late = self.late + 1 if isinstance(error, Late | TimeoutError) else 2
        if self.late > 1:
            self.turn("down", reason_of(error))

    def is_failing(self, sort: str) -> bool:
        return sort in self._failing

    def worked(self, sort: str) -> None:
        """Note that a request of ``sort`` has succeeded."""
        self.late = 0
        self._late_sorts.discard(sort)
        self._failing.pop(sort, None)
        if sort in self._to_end:
            self._to_end.discard(sort)
            logger.info("%s: %s work again", self._name, sort)

    def refused(self, sort: str, error: BaseException, *, late: bool = False) -> None:
        """Note that a request of ``sort`` has failed with the driver's ``error``."""
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
    """Return the driver's own text, for the log and ``/readyz``; callers get a text of ours."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
