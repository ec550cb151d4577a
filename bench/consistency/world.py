"""The world of the consistency check: its options, two replicas, and the servers behind them."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.lab.processes import Server, exchange, free_ports
from bench.lab.proxy import Proxy
from bench.stack import Service

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


class Replica(Service):
    """The service with its own settings, but for where its servers are; its log is kept."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        (port,) = free_ports(1)
        super().__init__({"HOST": "127.0.0.1", "PORT": str(port), **settings}, folder)
        self.log_path = folder / "service.log"


@dataclass
class World:
    """The servers of a run. Each replica reaches Cassandra through its own proxy."""

    settings: Mapping[str, str]
    redis: Server
    replicas: Sequence[Replica]
    proxies: Sequence[Proxy]
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
