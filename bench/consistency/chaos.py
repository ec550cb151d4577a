"""The faults of the consistency check, each at its own interval.

A *stop* is an orderly end of a replica whose writes are slow, and a new start of that replica. The
proxy delays every request to Cassandra, so that the replica gives up writes which Cassandra
executes later. Meanwhile the other replica reads, and fills, as fast as ever.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bench.consistency.world import Options, World
from bench.consistency.writers import Write
from bench.lab.processes import Server
from bench.lab.targets import Service

EVERY_S = {"freeze": 0.3, "evict": 0.5, "kill": 2.0, "hang": 4.5, "flush": 7.0, "stop": 12.0}
FROZEN_S = 0.02, 0.06  # longer than a whole write takes, and than the deadline of a read of Redis
HUNG_S = 0.3, 0.4  # longer than the deadline of an intent, and too short to be noticed as dead
SLOW_S = 2.0
BEFORE_STOP_S = 0.1, 1.0
STOP_SETTINGS = {"STORE_DEADLINE_S": "4", "WRITE_DEADLINE_S": "1.5", "DRAIN_S": "0.3"}
"""Cassandra may take longer than a write's caller waits. So a stop gives up writes under way."""
EVICT = "for _, key in ipairs(redis.call('KEYS', 'content:*:i:*')) do redis.call('DEL', key) end"
TICK_S = 0.02
AFTER_S = 0.3
"""A write that begins so soon after a fault may be refused because of that fault."""
BLAMED = ("restart", "hang", "stop", "kill", "freeze", "flush")


class Window(NamedTuple):
    """The time that one fault took; monotonic seconds."""

    fault: str
    began_s: float
    ended_s: float


class Chaos:
    """Causes the faults of ``options``; ``windows`` says when."""

    def __init__(self, world: World, options: Options) -> None:
        self._world = world
        self.windows: list[Window] = []
        now = time.monotonic()
        self._until = now + options.seconds
        self._every_s = {getattr(self, name): EVERY_S[name] for name in options.faults}
        self._due = {act: now + every_s for act, every_s in self._every_s.items()}
        if "stop" in options.faults:
            self._due[self.stop] = now + min(EVERY_S["stop"], options.seconds) / 4
        if options.restart_redis:
            self._due[self.restart] = now + options.seconds / 2
        self._stopper = threading.Thread()
        self._stopping: Service | None = None

    @property
    def done(self) -> Counter[str]:
        """The number of faults by their names."""
        return Counter(window.fault for window in self.windows)

    @property
    def unfenced_s(self) -> list[float]:
        """The moments around every fault that made Redis lose the intents of writes under way."""
        lost = [each for each in self.windows if each.fault in ("evict", "restart")]
        return [moment for each in lost for moment in (each.began_s, each.ended_s)]

    def run(self) -> None:
        """Cause the faults until the end of the run."""
        while (now := time.monotonic()) < self._until:
            for act in [act for act, due in self._due.items() if due <= now]:
                if act == self.stop:
                    self._stop_aside()
                else:
                    self._time(act)
                self._due[act] = now + self._every_s.get(act, float("inf"))
            time.sleep(TICK_S)
        if self._stopper.ident:
            self._stopper.join()

    def _time(self, act: Callable[[], None]) -> None:
        began_s = time.monotonic()
        act()
        self.windows.append(Window(act.__name__, began_s, time.monotonic()))

    def _stop_aside(self) -> None:
        """Run ``stop`` in a thread, because it takes seconds and other faults go on."""
        if not self._stopper.is_alive():
            self._stopping = random.choice(self._world.replicas)
            self._stopper = threading.Thread(target=self._time, args=(self.stop,))
            self._stopper.start()

    def freeze(self) -> None:
        """Delay the replies to one replica, and the invalidations that it is sent."""
        free = [each for each in self._world.replicas if each is not self._stopping]
        self._pause(random.choice(free), FROZEN_S)

    def hang(self) -> None:
        """Let Redis execute commands when nobody waits for their replies any more."""
        self._pause(self._world.redis, HUNG_S)

    def _pause(self, server: Server, for_s: tuple[float, float]) -> None:
        server.pause()
        time.sleep(random.uniform(*for_s))
        server.resume()

    def evict(self) -> None:
        """Delete the intents of all writes under way, as a Redis does that is full."""
        self._world.ask_redis(f'EVAL "{EVICT}" 0')

    def kill(self) -> None:
        """Close all connections to Redis, or that of one replica while the other goes on."""
        clients = self._world.ask_redis("CLIENT LIST")
        found = re.findall(rb"\bid=(\d+) .*?name=content ", clients)
        if found and self.done["kill"] % 2:
            self._world.ask_redis(f"CLIENT KILL ID {random.choice(found).decode()}")
        else:
            self._world.ask_redis("CLIENT KILL TYPE normal SKIPME yes")

    def flush(self) -> None:
        """Let Redis forget its scripts."""
        self._world.ask_redis("SCRIPT FLUSH")

    def restart(self) -> None:
        """Restart Redis, or replace its master."""
        self._world.restart_redis()

    def stop(self) -> None:
        """Stop one replica in order while its writes are slow, and start it again."""
        assert self._stopping is not None
        proxy = self._world.proxies[self._world.replicas.index(self._stopping)]
        try:
            proxy.delay(SLOW_S, 0.0)
            time.sleep(random.uniform(*BEFORE_STOP_S))
            self._stopping.stop()
            proxy.open()
            self._stopping.start()
        finally:
            self._stopping = None


def blame(write: Write, windows: Sequence[Window]) -> str:
    """Return the fault that explains why ``write`` was refused."""
    faults = {
        each.fault
        for each in windows
        if each.began_s < write.answered_s and write.sent_s < each.ended_s + AFTER_S
    }
    return next((fault for fault in BLAMED if fault in faults), "no fault")
