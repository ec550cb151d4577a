"""The servers of the consistency check, and its faults, each at its own interval."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from redis import Redis

from bench.lab.processes import Server
from bench.lab.proxy import Proxy
from bench.lab.targets import Service

EVERY_S = {
    "freeze": 0.3,
    "evict": 0.5,
    "kill": 2.0,
    "hang": 4.5,
    "flush": 7.0,
    "cut": 8.0,
    "stop": 12.0,
    "crash": 12.0,
}
FAULTS = tuple(EVERY_S)
FROZEN_S = 0.02, 0.06  # longer than a whole write takes, and than the deadline of a read of Redis
HUNG_S = 0.3, 0.4  # longer than the deadline of an intent, and too short to be noticed as dead
CUT_S = 0.05  # each way, before the cut: so transactions are lost on both ways
SLOW_S = 2.0
BEFORE_END_S = 0.1, 1.0
END_SETTINGS = {"STORE_DEADLINE_S": "4", "WRITE_DEADLINE_S": "1.5", "DRAIN_S": "0.3"}
"""Cassandra may take longer than a write's caller waits. So a stop gives up writes under way."""
EVICT = "for _, key in ipairs(redis.call('KEYS', 'content:*:i:*')) do redis.call('DEL', key) end"
TICK_S = 0.02


@dataclass(frozen=True)
class Options:
    """The settings of a run; ``pause_s`` is a writer's mean pause between two writes."""

    seconds: float = 60.0
    readers: int = 8
    writers: int = 4
    keys: int = 20
    pause_s: float = 0.02
    faults: tuple[str, ...] = FAULTS
    restart_redis: bool = False

    @property
    def ends_replicas(self) -> bool:
        """Whether replicas are stopped or killed."""
        return not {"stop", "crash"}.isdisjoint(self.faults)


@dataclass
class World:
    """The servers of a run. Each replica reaches Cassandra through its own proxy."""

    settings: Mapping[str, str]
    redis: Server
    replicas: Sequence[Service]
    proxies: Sequence[Proxy]
    restart_redis: Callable[[], object]


class Chaos:
    """Causes the faults of ``options``, and counts them by their names. ``unfenced_s`` has the
    moments around every fault by which Redis lost the intents of writes."""

    def __init__(self, world: World, options: Options) -> None:
        self._world = world
        self._redis = Redis(world.redis.host, world.redis.port, decode_responses=True)
        self.counts = Counter[str]()
        self.unfenced_s: list[float] = []
        now = time.monotonic()
        self._until = now + options.seconds
        self._every_s = {getattr(self, name): EVERY_S[name] for name in options.faults}
        self._due = {act: now + every_s for act, every_s in self._every_s.items()}
        for act, share in ((self.stop, 0.2), (self.cut, 0.3), (self.crash, 0.5)):
            if act in self._due:
                self._due[act] = now + share * min(EVERY_S["stop"], options.seconds)
        if options.restart_redis:
            self._due[self.restart] = now + options.seconds / 2
        self._ender = threading.Thread()
        self._ending: Service | None = None

    def run(self) -> None:
        """Cause the faults until the end of the run."""
        while (now := time.monotonic()) < self._until:
            for act in [act for act, due in self._due.items() if due <= now]:
                if act not in (self.stop, self.crash):
                    self._cause(act)
                elif self._ender.is_alive():
                    continue
                else:
                    self._end_aside(act)
                self._due[act] = now + self._every_s.get(act, float("inf"))
            time.sleep(TICK_S)
        if self._ender.ident:
            self._ender.join()
        self._redis.close()

    def _cause(self, act: Callable[[], None]) -> None:
        began_s = time.monotonic()
        act()
        self.counts[act.__name__] += 1
        if act in (self.evict, self.restart):
            self.unfenced_s += (began_s, time.monotonic())

    def _end_aside(self, act: Callable[[], None]) -> None:
        """End a replica in a thread, because it takes seconds and other faults go on."""
        self._ending = random.choice(self._world.replicas)
        self._ender = threading.Thread(target=self._cause, args=(act,))
        self._ender.start()

    def freeze(self) -> None:
        """Delay the replies to one replica, and the invalidations that it is sent."""
        self._pause(self._running(), FROZEN_S)

    def _running(self) -> Service:
        return random.choice([each for each in self._world.replicas if each is not self._ending])

    def hang(self) -> None:
        """Let Redis execute commands when nobody waits for their replies any more."""
        self._pause(self._world.redis, HUNG_S)

    def _pause(self, server: Server, for_s: tuple[float, float]) -> None:
        server.pause()
        time.sleep(random.uniform(*for_s))
        server.resume()

    def evict(self) -> None:
        """Delete the intents of all writes under way, as a Redis does that is full."""
        self._redis.eval(EVICT, 0)

    def kill(self) -> None:
        """Close all connections to Redis, or that of one replica while the other goes on."""
        found = [each["id"] for each in self._redis.client_list() if each["name"] == "content"]
        if found and random.random() < 0.5:
            self._redis.client_kill_filter(_id=random.choice(found))
        else:
            self._redis.client_kill_filter(_type="normal", skipme=True)

    def flush(self) -> None:
        """Let Redis forget its scripts."""
        self._redis.script_flush()

    def restart(self) -> None:
        """Restart Redis, or replace its master."""
        self._world.restart_redis()

    def cut(self) -> None:
        """Lose requests to Cassandra, and its replies to transactions that are done."""
        proxy = self._proxy(self._running())
        proxy.delay(CUT_S, CUT_S)
        time.sleep(2 * CUT_S)
        proxy.cut()
        proxy.open()

    def _proxy(self, replica: Service) -> Proxy:
        return self._world.proxies[self._world.replicas.index(replica)]

    def stop(self) -> None:
        """Stop one replica in order while its writes are slow, and start it again."""
        self._end(Service.stop)

    def crash(self) -> None:
        """Kill one replica while its writes are slow, and start it again."""
        self._end(Service.kill)

    def _end(self, ends: Callable[[Service], None]) -> None:
        replica = self._ending
        assert replica is not None
        proxy = self._proxy(replica)
        try:
            proxy.delay(SLOW_S, 0.0)
            time.sleep(random.uniform(*BEFORE_END_S))
            ends(replica)
            proxy.open()
            replica.start()
        finally:
            self._ending = None
