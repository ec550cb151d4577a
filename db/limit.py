"""How many reads may be at the store at a time: a limit that follows the measured latency.

The rule is Gradient2 of Netflix' concurrency-limits: while a read takes no longer than reads have
taken over a long time (times a tolerance), the limit grows by a few; when it takes longer, reads
are queueing somewhere, and the limit shrinks in proportion. Its known traps are closed: the limit
has a maximum, a long-time latency that drifted up with an overload comes down again, a quiet time
says nothing about the limit, and what never reached the store is no sample.

Who finds the limit reached waits: clicks before hovers, and only for so long. The order is that of
arrival, until a queue stands: then the newest goes first, since serving the oldest would make all
of them late (adaptive LIFO, Maurer, "Fail at Scale", 2015). Not thread-safe: it belongs to one
event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from errors import Shed

INITIAL = MINIMUM = 50
"""A node of a ring that dies holds up the reads that it was asked for, 0.4 s each and for some 5 s,
until the others know; with 20 the rest would stand in line behind those."""
SMOOTHING, QUEUE, TOLERANCE = 0.2, 4, 1.5
WINDOW_S, WINDOW_READS = 0.1, 10
LONG_WINDOWS = 600
"""Over so many windows, a minute at least, the long-time latency is smoothed."""
DRIFT, RECOVERY = 2.0, 0.95
CLICK_WAIT_S, HOVER_WAIT_S = 1.0, 0.05
"""How long one waits for a turn: a click for as long as its deadline leaves time for the read; a
hover that comes late is of no use, and waits to ride out a burst alone."""
BURST_S = 0.01
STANDING_S = 0.5
"""Half of a click's patience. Sooner, the queue that a moment's halt of the store leaves would cost
those who were in it their turn, where in the order of arrival all are still in time."""


class Limit:
    """``changed`` is told each new limit. ``clock``: monotonic seconds."""

    def __init__(
        self,
        maximum: int,
        changed: Callable[[float], None] = lambda limit: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.in_flight = 0
        self.limit = float(min(INITIAL, maximum))
        self.minimum, self.maximum = float(min(MINIMUM, maximum)), float(maximum)
        self._changed = changed
        self._clock = clock
        self._clicks: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._hovers: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._long_s = 0.0
        self._began = clock()
        self._sum_s = 0.0
        self._reads = self._most = 0

    @property
    def is_congested(self) -> bool:
        """Whether a hover that came now would wait in vain: a click, which goes first, has waited
        for longer than a burst makes it, or a hover for half of what it is given."""
        now = self._clock()
        return bool(
            (self._clicks and now - self._clicks[0][0] > BURST_S)
            or (self._hovers and now - self._hovers[0][0] > HOVER_WAIT_S / 2)
        )

    async def enter(self, is_urgent: bool) -> None:
        """Returns when it is one's turn; ``leave`` has to follow. Raises Shed when it does not
        come in time."""
        if self.in_flight < int(self.limit):
            self._admit()
            return
        queue, patience_s = (
            (self._clicks, CLICK_WAIT_S) if is_urgent else (self._hovers, HOVER_WAIT_S)
        )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (self._clock(), turn)
        queue.append(place)
        try:
            async with asyncio.timeout(patience_s):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(None)  # the turn came in the moment in which it was given up
            else:
                with suppress(ValueError):  # passed over already
                    queue.remove(place)
            if isinstance(error, TimeoutError):
                raise Shed(is_urgent) from None
            raise

    def leave(self, seconds: float | None) -> None:
        """``seconds``: how long the store took; None: it was not asked, or said nothing."""
        self.in_flight -= 1
        if seconds is not None:
            self._sum_s += seconds
            self._reads += 1
            if self._reads >= WINDOW_READS and self._clock() - self._began >= WINDOW_S:
                self._adapt(self._sum_s / self._reads)
        self._call_in()  # last: a turn more is for who waits, not for who comes next

    def _admit(self) -> None:
        self.in_flight += 1
        if self.in_flight > self._most:
            self._most = self.in_flight

    def _call_in(self) -> None:
        while self.in_flight < int(self.limit) and (self._clicks or self._hovers):
            queue = self._clicks or self._hovers
            stands = self._clock() - queue[0][0] > STANDING_S
            _, turn = queue.pop() if stands else queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self._admit()

    def _adapt(self, short_s: float) -> None:
        """The end of a window of samples."""
        most, self._most = self._most, self.in_flight
        self._began, self._sum_s, self._reads = self._clock(), 0.0, 0
        if not self._long_s:
            self._long_s = short_s
        self._long_s += (short_s - self._long_s) / LONG_WINDOWS
        if self._long_s > DRIFT * short_s:
            self._long_s *= RECOVERY
        if most < self.limit / 2:
            return  # nobody came near it
        gradient = max(0.5, min(1.0, TOLERANCE * self._long_s / max(short_s, 1e-6)))
        wanted = self.limit * gradient + QUEUE
        smoothed = self.limit * (1 - SMOOTHING) + wanted * SMOOTHING
        self.limit = max(self.minimum, min(smoothed, self.maximum))
        self._changed(self.limit)
