"""The world of the consistency check: its options, two replicas, and the servers behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.lab.processes import Server, exchange
from bench.lab.proxy import Proxy
from bench.lab.targets import Service

FAULTS = ("freeze", "evict", "kill", "hang", "flush", "stop")


@dataclass(frozen=True)
class Options:
    """``pause_s``: the average time that a writer waits between two writes. ``faults``: the faults
    of ``chaos.py`` that occur."""

    seconds: float = 60.0
    readers: int = 2
    writers: int = 4
    keys: int = 20
    pause_s: float = 0.02
    faults: tuple[str, ...] = FAULTS
    restart_redis: bool = False


@dataclass
class World:
    """The servers of a run. Each replica reaches Cassandra through its own proxy."""

    settings: Mapping[str, str]
    redis: Server
    replicas: Sequence[Service]
    proxies: Sequence[Proxy]
    restart_redis: Callable[[], object]

    def ask_redis(self, command: str) -> bytes:
        """Send a command to Redis, and return the first bytes of its reply."""
        return exchange(self.redis.host, self.redis.port, f"{command}\r\n".encode())
