"""What breaks in a schedule, each fault at its moment; ``done`` counts them by kind."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from tests.simulation.replica import Replica
    from tests.simulation.world import World

NOTICED_S = 2.0
"""How long after a silence the near cache may still be old: until the heartbeat has failed."""


class Faults:
    """Carries out the plan's faults on a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: Counter[str] = Counter()
        self._left = 0
        self._acts = {
            "silence": self._silence,
            "pause": self._pause,
            "hang": self._hang,
            "away": self._away,
            "mute store": self._mute,
            "crash": self._crash,
            "stop": self._stop,
            "step": self._step,
            "cut": self._cut,
            "evict": self._evict,
            "restart": self._restart,
            "flush scripts": self._flush_scripts,
            "flush": self._flush,
            "full": self._full,
        }

    @property
    def is_over(self) -> bool:
        """Whether everything has happened and has ended."""
        return not self._left

    def plan(self, now_s: float) -> None:
        for fault in self.world.plan.faults:
            self._left += 1
            self.world.simulator.at(now_s + fault.at_s, self._do, fault)

    def _do(self, fault: Fault) -> None:
        self.done[fault.kind] += 1
        if self.world.simulator.steps is not None:
            self.world.simulator.say(
                f"FAULT {fault.kind}: replica {fault.target}, {fault.length_s * 1000:.0f} ms"
            )
        self.world.simulator.after(fault.length_s, self._over)
        self._acts[fault.kind](fault)

    def _over(self) -> None:
        self._left -= 1

    def _replica(self, fault: Fault) -> Replica | None:
        replica = self.world.replicas[fault.target]
        return None if replica.loop.dead or replica.is_stopping else replica

    def _disturb(self, until_s: float) -> None:
        self.world.judge.disturbances.append((self.world.simulator.now_s, until_s + NOTICED_S))

    # the network

    def _silence(self, fault: Fault) -> None:
        until_s = self.world.simulator.now_s + fault.length_s
        self._disturb(until_s)
        self.world.network.silent_until_s[self.world.replicas[fault.target].name] = until_s

    def _cut(self, fault: Fault) -> None:
        target = None if fault.share < 0.3 else self.world.replicas[fault.target].loop
        for link in list(self.world.network.links):
            if target is None or link.loop is target:
                link.cut(loses_commands=fault.share * 10 % 1 < 0.5)

    # Redis

    def _hang(self, fault: Fault) -> None:
        redis = self.world.redis
        redis.hung_until_s = self.world.simulator.now_s + fault.length_s

    def _evict(self, fault: Fault) -> None:
        """Of all keys, or of the intents alone."""
        data = self.world.redis.data
        for key in list(data.values):
            if fault.share < 0.6 and b":i:" not in key:
                continue
            if self.world.simulator.random.random() < 0.7:
                data.drop(key)
        self._unfenced()
        self.world.redis.flush()

    def _unfenced(self) -> None:
        self.world.judge.unfenced_s.append(self.world.simulator.now_s)

    def _flush(self, fault: Fault) -> None:
        self.world.redis.flush_all()
        self.world.redis.flush()
        self._unfenced()

    def _flush_scripts(self, fault: Fault) -> None:
        self.world.redis.scripts.clear()

    def _full(self, fault: Fault) -> None:
        """Redis refuses what needs memory, and so every fill and lease."""
        redis = self.world.redis
        redis.is_full = True

        def room() -> None:
            redis.is_full = False

        self.world.simulator.after(fault.length_s, room)

    def _restart(self, fault: Fault) -> None:
        """Empty, or with what it saved earlier; nobody listens meanwhile."""
        world = self.world
        saved = world.redis.data.copy() if fault.share < 0.5 else None
        self._unfenced()
        world.network.names["redis"] = None
        for link in list(world.network.links):
            link.cut(loses_commands=fault.share * 10 % 1 < 0.5)

        def listen() -> None:
            world.redis.restart(saved)
            world.network.names["redis"] = world.redis
            self._unfenced()

        world.simulator.after(fault.length_s, listen)

    # Cassandra

    def _away(self, fault: Fault) -> None:
        self.world.cassandra.away_until_s = self.world.simulator.now_s + fault.length_s

    def _mute(self, fault: Fault) -> None:
        self.world.cassandra.silent_until_s = self.world.simulator.now_s + fault.length_s

    # processes

    def _pause(self, fault: Fault) -> None:
        replica = self._replica(fault)
        if replica is None or replica.loop.paused:
            return
        self._disturb(self.world.simulator.now_s + fault.length_s)
        replica.loop.pause()
        timers_first = self.world.plan.timers_first

        def resume() -> None:
            if not replica.loop.dead:
                replica.loop.resume(timers_first=timers_first)

        self.world.simulator.after(fault.length_s, resume)

    def _crash(self, fault: Fault) -> None:
        replica = self._replica(fault)
        if replica is None:
            return
        replica.loop.kill()
        for link in list(self.world.network.links):
            if link.loop is replica.loop:
                link.cut(loses_commands=fault.share < 0.5)
                link.vanish()
        self._gone(replica)
        self._start_again(fault)

    def _gone(self, replica: Replica) -> None:
        self.world.judge.gone.add(replica.life)
        for client in self.world.clients:
            client.lost(replica)

    def _start_again(self, fault: Fault) -> None:
        self.world.simulator.after(fault.length_s, self._start, fault.target)

    def _start(self, number: int) -> None:
        self.world.replicas[number] = self.world.start(number)

    def _stop(self, fault: Fault) -> None:
        """In order; another process takes its place once it has ended."""
        replica = self._replica(fault)
        if replica is None:
            return
        replica.stop()
        self._left += 1
        self._watch(replica, fault)

    def _watch(self, replica: Replica, fault: Fault) -> None:
        if not replica.loop.dead:
            self.world.simulator.after(0.05, self._watch, replica, fault)
            return
        self._left -= 1
        self._gone(replica)
        self._start(fault.target)

    def _step(self, fault: Fault) -> None:
        """The wall clock of a replica jumps by up to 5 s either way."""
        self.world.replicas[fault.target].loop.wall_offset_s += fault.share * 10 - 5
