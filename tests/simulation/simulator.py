"""Virtual time: one clock that moves every simulated process.

``Simulator`` holds a heap of future events. It runs every process that has work, and then jumps to
the next event, so no schedule ever sleeps. Work takes no virtual time. Races come from the
latencies, which the world draws at random.
"""

import random
from asyncio import events
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from tests.simulation.loop import BOOT_S, EPOCH_S, Call, ProcessLoop, Task

FIRST_LOOK_S = 0.004


class Simulator:
    """The clock, the events to come, and the random numbers of one schedule."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_s = BOOT_S
        self.runnable: deque[ProcessLoop] = deque()
        self.running: ProcessLoop | None = None
        self.errors: list[tuple[str, str]] = []
        self.steps: list[str] | None = None
        self.is_over = False
        self.events = 0
        self._is_halted = False
        self.connect: Callable[..., Any] = _nowhere
        self._heap: list[tuple[float, int, Call, tuple[Any, ...]]] = []
        self._numbers = count()
        Task._numbers = count()

    def at(self, when_s: float, callback: Call, *args: Any) -> None:
        """Call back at ``when_s``; events of the same moment run in the order of their making."""
        heappush(self._heap, (when_s, next(self._numbers), callback, args))

    def after(self, delay_s: float, callback: Call, *args: Any) -> None:
        heappush(self._heap, (self.now_s + delay_s, next(self._numbers), callback, args))

    def halt(self) -> None:
        """End the ``run`` under way."""
        self._is_halted = True

    def run(self, until_s: float) -> bool:
        """Run until somebody calls ``halt``; return False if ``until_s`` came first."""
        try:
            return self._run(until_s)
        finally:
            self.running = None
            events._set_running_loop(None)

    def _run(self, until_s: float) -> bool:
        heap, runnable = self._heap, self.runnable
        while True:
            while runnable:
                runnable.popleft().turn()
            if self._is_halted:
                self._is_halted = False
                return True
            if not heap or heap[0][0] > until_s:
                self.now_s = max(self.now_s, until_s)
                return False
            when_s, _, callback, args = heappop(heap)
            if when_s > self.now_s:
                self.now_s = when_s
            self.events += 1
            callback(*args)

    def run_until(self, holds: Callable[[], bool], until_s: float) -> bool:
        """As ``run``, until ``holds``, which is asked ever less often."""

        def look(pause_s: float) -> None:
            if holds():
                self.halt()
            else:
                self.after(pause_s, look, min(0.2, pause_s * 1.2))

        look(FIRST_LOOK_S)
        return self.run(until_s)

    def say(self, text: str) -> None:
        """Add a step to the trace; callers look first whether there is one."""
        assert self.steps is not None
        self.steps.append(f"{(self.now_s - BOOT_S) * 1000:11.3f} ms  {text}")

    def end(self) -> None:
        """Drop everything under way; callbacks that its disposal causes are ignored."""
        self.is_over = True
        self._heap.clear()
        self.runnable.clear()


async def _nowhere(*_: object) -> Any:
    raise ConnectionRefusedError("nothing is simulated there")


class SimulatedTime:
    """Stands in for the module ``time`` in the product's modules: the running process's clocks."""

    def __init__(self) -> None:
        self.simulator = Simulator(0)

    def time(self) -> float:
        running = self.simulator.running
        return EPOCH_S if running is None else running.wall_s()

    def time_ns(self) -> int:
        return int(self.time() * 1e9)

    def monotonic(self) -> float:
        return self.simulator.now_s
