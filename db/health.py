"""The state of a store: starting, up, degraded or down. Each change is logged once.

A store is *down* while its probe fails, because requests would wait in vain. It is *degraded* while
its probe succeeds and requests of one sort fail. For example, a full disk fails writes, and reads
go on. A sort begins to fail with its first failure. It stops with its first success. In Cassandra
a probe also stops it FORGET_S after its last failure, because some sorts are rare. One late answer
is a busy moment, so only a second late answer in a row counts as a failure.
"""

import logging
import time
from collections.abc import Callable

from db.store import State
from errors import Late
from metrics import Timings

logger = logging.getLogger("content")

FORGET_S = 60.0
SAY_S = 60.0
"""The least time between two warnings about the same sort."""


class Sort:
    """The last requests of one sort. ``reason`` is empty unless they fail."""

    was_late = False
    reason = ""
    failed_s = said_s = float("-inf")
    is_new = is_said = False


class Health:
    """The state of the store ``name`` and, if it is not up, the reason.

    ``timings`` get the times of requests by sort, with those that failed. They are for one thread;
    ``refused`` and ``worked`` may be called from any thread. ``late`` is the number of late probes
    in a row.
    """

    def __init__(
        self,
        name: str = "Cassandra",
        reason: str = "connecting to Cassandra",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        text = "Time of a call to the store, however it ended; without the wait for a turn."
        self.timings = Timings("content_store_seconds", text, None, "sort")
        self.late = 0
        self.sorts: dict[str, Sort] = {}
        self.is_down = False
        """Whether the store was up and is not, so that a request would wait in vain."""
        self._name, self._clock = name, clock
        self._turned: tuple[State, str] = ("starting", reason)

    @property
    def state(self) -> tuple[State, str]:
        reasons = (f"{name} fail: {sort.reason}" for name, sort in self._failing())
        if self._turned[0] == "up" and (reason := "; ".join(reasons)):
            return "degraded", reason
        return self._turned

    def _failing(self) -> list[tuple[str, Sort]]:
        return [(name, sort) for name, sort in self.sorts.copy().items() if sort.reason]

    def answered(self) -> None:
        """Note an answered probe. After an outage forget the sorts, which may work again."""
        self.late = 0
        for _, sort in self._failing():
            if self._turned[0] != "up" or self._clock() - sort.failed_s > FORGET_S:
                sort.reason = ""
        self.turn("up", "")
        self.tell()

    def tell(self) -> None:
        """Log each sort that has begun to fail, at most once in SAY_S.

        Call this while the store is known to be up, because an outage fails every sort.
        """
        now = self._clock()
        for name, sort in self._failing():
            if sort.is_new and now - sort.said_s >= SAY_S:
                sort.is_new, sort.said_s, sort.is_said = False, now, True
                logger.warning("%s: %s fail: %s", self._name, name, sort.reason)

    def failed(self, error: Exception) -> None:
        """Note a failed probe: the store is down, unless this is the first late probe in a row."""
        self.late = self.late + 1 if isinstance(error, Late | TimeoutError) else 2
        if self.late > 1:
            self.turn("down", reason_of(error))

    def is_failing(self, name: str) -> bool:
        return name in self.sorts and bool(self.sorts[name].reason)

    def worked(self, name: str) -> None:
        """Note that a request of the sort ``name`` has succeeded."""
        self.late = 0
        if sort := self.sorts.get(name):
            sort.was_late, sort.reason = False, ""
            if sort.is_said:
                sort.is_said = False
                logger.info("%s: %s work again", self._name, name)

    def refused(self, name: str, error: BaseException, *, late: bool = False) -> None:
        """Note that a request of the sort ``name`` has failed with the driver's ``error``."""
        sort = self.sorts.setdefault(name, Sort())
        if late and not sort.was_late:
            sort.was_late = True
            return
        sort.failed_s = self._clock()
        if not sort.reason:
            sort.reason, sort.is_new = reason_of(error), True

    def turn(self, state: State, reason: str) -> None:
        """Set the state. Log a change of it, and of the reason only until the store was up."""
        before, why = self._turned
        if state != before or (state == "starting" and reason != why):
            level = logging.INFO if state == "up" else logging.WARNING
            logger.log(level, "%s is %s%s", self._name, state, reason and f": {reason}")
        self._turned = (state, reason)
        self.is_down = state == "down"


def reason_of(error: BaseException) -> str:
    """Return the driver's own text, for the log and ``/readyz``; callers get a text of ours."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
