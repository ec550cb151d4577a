"""What is known of a store from afar: up, down, or not there yet; said once per change."""

from __future__ import annotations

import logging

from db.store import State
from errors import Late

logger = logging.getLogger("content")


class Health:
    """``state`` is the state and, when not up, the reason in words. ``late`` probes in a row had no
    answer in time; whoever gets one makes it 0."""

    def __init__(self) -> None:
        self._state: tuple[State, str] = ("starting", "connecting to Cassandra")
        self._refusal = ""
        self._refusals = 0
        self.late = 0

    @property
    def state(self) -> tuple[State, str]:
        return ("down", self._refusal) if self._refusal and self._state[0] == "up" else self._state

    @property
    def is_down(self) -> bool:
        """Whether it was there and is not: asking it now would be waiting in vain."""
        return self._state[0] == "down"

    def answered(self) -> None:
        self.late = 0
        self.turn("up", "")

    def failed(self, error: Exception) -> None:
        """One late answer is a busy moment; two are an outage, if nobody was answered between."""
        self.late = self.late + 1 if isinstance(error, Late | TimeoutError) else 2
        if self.late > 1:
            self.turn("down", reason_of(error))

    def refused(self, error: Exception) -> None:
        """Cassandra answers, and does not read our tables: that is said, while requests go on,
        because it may do so for other rows. One late answer is a busy moment."""
        self._refusals += 1 if isinstance(error, Late | TimeoutError) else 2
        if self._refusals > 1:
            if not self._refusal:
                logger.warning("Cassandra refuses to read: %s", reason_of(error))
            self._refusal = reason_of(error)

    def obeyed(self) -> None:
        if self._refusal:
            logger.info("Cassandra reads again")
        self._refusal, self._refusals = "", 0

    def turn(self, state: State, reason: str) -> None:
        if (state, reason) != self._state:
            logger.log(
                logging.INFO if state == "up" else logging.WARNING,
                "Cassandra is %s%s",
                state,
                reason and f": {reason}",
            )
        self._state = (state, reason)


def reason_of(error: Exception) -> str:
    """The driver's own text, for the log and ``/readyz``; callers get ours."""
    cause = error.__cause__ or error
    return str(cause) or type(cause).__name__
