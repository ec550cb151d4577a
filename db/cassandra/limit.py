"""The limit of concurrent reads from the store, which follows the measured latency.

The rule is Gradient2 of Netflix' concurrency-limits. While reads take no longer than their
long-time latency times TOLERANCE, the limit grows by a few. When reads take longer, they queue
somewhere, and the limit shrinks in proportion. Known faults of the rule are avoided:

- the limit has a maximum;
- a long-time latency that rose in an overload falls again;
- a window in which reads used less than half of the limit does not change it;
- a read that never reached the store is no sample.

At the limit a request waits for its turn, for a bounded time, and clicks go before hovers. The
oldest request goes first, until it has waited for STANDING_S. Then the newest goes first, because
serving the oldest would make all of them late (adaptive LIFO, Maurer, "Fail at Scale", 2015). A
limit is not thread-safe and belongs to one event loop.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from errors import Shed

INITIAL = MINIMUM = 50
"""After a node of a ring died, reads sent to it take 0.4 s each, for some 5 s, until the others
know. With a limit of 20 all other reads would wait behind these."""
SMOOTHING, QUEUE, TOLERANCE = 0.2, 4, 1.5
WINDOW_S, WINDOW_READS = 0.1, 10
LONG_WINDOWS = 600
"""The long-time latency is smoothed over this many windows, which last a minute at least."""
DRIFT, RECOVERY = 2.0, 0.95
CLICK_WAIT_S, HOVER_WAIT_S = 1.0, 0.05
"""How long a request waits for its turn. A click waits as long as its deadline leaves time for the
read. A hover only waits for the end of a burst, because a late hover is of no use."""
BURST_S = 0.01
STANDING_S = 0.5
"""Half of CLICK_WAIT_S. With less, a short halt of the store would cost the oldest requests of the
queue their turn, although all are in time if served in the order of arrival."""


class Limit:
    """At most ``maximum`` reads. ``clock``: monotonic seconds."""

    def __init__(self, maximum: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_flight = self.updates = 0
        self.limit = float(min(INITIAL, maximum))
        self.minimum, self.maximum = float(min(MINIMUM, maximum)), float(maximum)
        self._clock = clock
        self._clicks: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._hovers: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._long_s = 0.0
        self._began = clock()
        self._sum_s = 0.0
        self._reads = self._most = 0

    @property
    def is_congested(self) -> bool:
        """Return whether a new hover would wait in vain.

        It would if a click, which goes first, has waited for longer than BURST_S, or a hover for
        half of HOVER_WAIT_S.
        """
        now = self._clock()
        return bool(
            (self._clicks and now - self._clicks[0][0] > BURST_S)
            or (self._hovers and now - self._hovers[0][0] > HOVER_WAIT_S / 2)
        )

    async def enter(self, is_urgent: bool) -> None:
        """Wait for a turn, which ``leave`` has to end. Raise Shed if it does not come in time."""
        if self.in_flight < int(self.limit):
            self.in_flight += 1
            return
        queue = self._clicks if is_urgent else self._hovers
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (self._clock(), turn)
        queue.append(place)
        try:
            async with asyncio.timeout(CLICK_WAIT_S if is_urgent else HOVER_WAIT_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self.leave(None)  # the turn came just when the wait ended
            else:
                with suppress(ValueError):  # already out of the queue
                    queue.remove(place)
            if isinstance(error, TimeoutError):
                raise Shed(is_urgent) from None
            raise

    def leave(self, seconds: float | None) -> None:
        """End a turn, and give free turns to waiting requests, clicks first.

        The store took ``seconds``; None: it was not asked, or gave no answer.
        """
        if self.in_flight > self._most:
            self._most = self.in_flight
        self.in_flight -= 1
        if seconds is not None:
            self._sum_s += seconds
            self._reads += 1
            if self._reads >= WINDOW_READS and self._clock() - self._began >= WINDOW_S:
                self._adapt(self._sum_s / self._reads)
        # after a new limit, so that waiting requests get the turns that the limit adds
        while (queue := self._clicks or self._hovers) and self.in_flight < int(self.limit):
            stands = self._clock() - queue[0][0] > STANDING_S
            _, turn = queue.pop() if stands else queue.popleft()
            if not turn.done():
                turn.set_result(None)
                self.in_flight += 1

    def _adapt(self, short_s: float) -> None:
        """End a window of samples, whose mean is ``short_s``, and move the limit."""
        most, self._most = self._most, self.in_flight
        self._began, self._sum_s, self._reads = self._clock(), 0.0, 0
        if not self._long_s:
            self._long_s = short_s
        self._long_s += (short_s - self._long_s) / LONG_WINDOWS
        if self._long_s > DRIFT * short_s:
            self._long_s *= RECOVERY
        if most < self.limit / 2:
            return  # reads did not come near the limit
        gradient = max(0.5, min(1.0, TOLERANCE * self._long_s / max(short_s, 1e-6)))
        wanted = self.limit * gradient + QUEUE
        smoothed = self.limit * (1 - SMOOTHING) + wanted * SMOOTHING
        self.limit = max(self.minimum, min(smoothed, self.maximum))
        self.updates += 1
