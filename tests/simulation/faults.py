"""When something breaks: at a moment, or right after something that the world has seen.

A fault *after* an event is what finds races: the time between two steps of a protocol is short, and
a fault at a random time seldom falls into it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.breaking import ACTS
from tests.simulation.loop import ProcessLoop
from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World


class Faults:
    """Carries out the plan's faults on a world; ``done`` counts them by kind."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: Counter[str] = Counter()
        self._left = 0
        self._waiting: list[list[int | Fault]] = []

    @property
    def is_over(self) -> bool:
        """Whether everything that began has ended."""
        return not self._left

    def plan(self) -> None:
        """The clients begin now."""
        for fault in self.world.plan.faults:
            if fault.after:
                self._waiting.append([fault.nth, fault])
            else:
                self._begin(fault)
        if self._waiting:
            self.world.redis.heard = self.world.cassandra.heard = self._heard

    def stop(self) -> None:
        """The clients have ended; what waits for an event does not happen any more."""
        self.world.redis.heard = self.world.cassandra.heard = None

    def hold(self) -> None:
        """Something that a fault began is not over before ``release``."""
        self._left += 1

    def release(self) -> None:
        self._left -= 1

    def _heard(self, event: str, loop: ProcessLoop) -> None:
        for waiting in self._waiting[:]:
            left, fault = waiting
            assert isinstance(left, int)
            assert isinstance(fault, Fault)
            if fault.after != event:
                continue
            waiting[0] = left - 1
            if left <= 1:
                self._waiting.remove(waiting)
                self._begin(fault, loop.number if fault.target < 0 else fault.target)

    def _begin(self, fault: Fault, target: int | None = None) -> None:
        self.hold()
        if target is None:
            target = max(fault.target, 0)
        target %= len(self.world.replicas)
        self.world.simulator.after(fault.at_s, self._do, fault, target)

    def _do(self, fault: Fault, target: int) -> None:
        world = self.world
        self.done[fault.kind] += 1
        if world.simulator.steps is not None:
            when = f" after {fault.after}" if fault.after else ""
            length = f", {fault.length_s * 1000:.0f} ms" if fault.length_s else ""
            world.simulator.say(f"FAULT{when}: {fault.kind} (replica {target}){length}")
        world.simulator.after(fault.length_s, self.release)
        ACTS[fault.kind](world, fault, target)
