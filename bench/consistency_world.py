"""The world of the consistency check: two replicas, their servers, and what is done to them."""

from __future__ import annotations

import http.client
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import Server, exchange, free_ports
from bench.stack import Service

FREEZE_S, EVICT_S, KILL_S, HANG_S, FLUSH_S = 0.3, 0.5, 3.0, 4.5, 7.0
FROZEN_S = 0.02, 0.06  # longer than a whole write takes, and than the deadline of a read of Redis
HUNG_S = 0.3, 0.4  # longer than the deadline of an intent, and too short to be noticed as dead
EVICT = "for _, key in ipairs(redis.call('KEYS', 'content:*:i:*')) do redis.call('DEL', key) end"
TICK_S = 0.02


@dataclass(frozen=True)
class Options:
    """``pause_s``: what a writer waits on average between two writes."""

    seconds: float = 60.0
    readers: int = 2
    writers: int = 4
    keys: int = 20
    pause_s: float = 0.02
    calm: bool = False
    restart_redis: bool = False


class Replica(Service):
    """The service with its own settings, but for where its servers are; its log is kept."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        (port,) = free_ports(1)
        super().__init__({"HOST": "127.0.0.1", "PORT": str(port), **settings}, folder)
        self.log_path = folder / "service.log"


@dataclass
class World:
    """The servers of a run."""

    settings: Mapping[str, str]
    redis: Server
    replicas: Sequence[Replica]
    restart_redis: Callable[[], object]

    def ask_redis(self, command: str) -> bytes:
        return exchange(self.redis.host, self.redis.port, f"{command}\r\n".encode())

    def get(self, replica: int, path: str) -> tuple[int, bytes]:
        server = self.replicas[replica]
        connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class Chaos:
    """Breaks things at their times; ``done`` counts what was done, ``unfenced_s`` has the moments
    around everything that made Redis lose the intents of writes under way."""

    def __init__(self, world: World, options: Options) -> None:
        self._world = world
        self.done: Counter[str] = Counter()
        self.unfenced_s: list[float] = []
        now = time.monotonic()
        self._until = now + options.seconds
        self._every_s: dict[Callable[[], None], float] = {}
        if not options.calm:
            self._every_s = {self.freeze: FREEZE_S, self.evict: EVICT_S, self.kill: KILL_S}
            self._every_s |= {self.hang: HANG_S, self.flush: FLUSH_S}
        self._due = {act: now + every_s for act, every_s in self._every_s.items()}
        if options.restart_redis:
            self._due[self.restart] = now + options.seconds / 2

    def run(self) -> None:
        while (now := time.monotonic()) < self._until:
            for act in [act for act, due in self._due.items() if due <= now]:
                act()
                self.done[act.__name__] += 1
                if act in (self.evict, self.restart):
                    self.unfenced_s += now, time.monotonic()
                self._due[act] = now + self._every_s.get(act, float("inf"))
            time.sleep(TICK_S)

    def freeze(self) -> None:
        """What a replica has asked for comes back to it late, and what it is told arrives late."""
        self._stop(random.choice(self._world.replicas), FROZEN_S)

    def hang(self) -> None:
        """Redis does what it was asked when nobody waits for it any more."""
        self._stop(self._world.redis, HUNG_S)

    def _stop(self, server: Server, for_s: tuple[float, float]) -> None:
        server.pause()
        time.sleep(random.uniform(*for_s))
        server.resume()

    def evict(self) -> None:
        """As a Redis does that is full: the intents of all writes under way."""
        self._world.ask_redis(f'EVAL "{EVICT}" 0')

    def kill(self) -> None:
        """All connections to Redis, or one replica's alone while the other goes on writing."""
        clients = self._world.ask_redis("CLIENT LIST")
        found = re.findall(rb"\bid=(\d+) .*?name=content ", clients)
        if found and self.done["kill"] % 2:
            self._world.ask_redis(f"CLIENT KILL ID {random.choice(found).decode()}")
        else:
            self._world.ask_redis("CLIENT KILL TYPE normal SKIPME yes")

    def flush(self) -> None:
        self._world.ask_redis("SCRIPT FLUSH")

    def restart(self) -> None:
        self._world.restart_redis()
