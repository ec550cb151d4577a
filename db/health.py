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
        self.state: tuple[State, str] = ("starting", "connecting to Cassandra")
        self.late = 0

    @property
    def is_down(self) -> bool:
        """Whether it was there and is not: asking it now would be waiting in vain."""
        return self.state[0] == "down"

    def answered(self) -> None:
        self.late = 0
        self.turn("up", "")

    def failed(self, error: Exception) -> None:
        """One late answer is a busy moment; two are an outage, if nobody was answered between."""
        self.late = self.late + 1 if isinstance(error, Late | TimeoutError) else 2
        if self.late > 1:
            self.turn("down", str(error) or type(error).__name__)

    def turn(self, state: State, reason: str) -> None:
        if (state, reason) != self.state:
            logger.log(
                logging.INFO if state == "up" else logging.WARNING,
                "Cassandra is %s%s",
                state,
                reason and f": {reason}",
            )
        self.state = (state, reason)
