"""The rungs: which servers stand on each, one layer more than on the one before.

Every server may use every core, the load's included: three replicas have no more cores than one.
What differs between rungs is one setting or one process; the rows and the activity are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.lab.processes import Server
from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.targets import HAProxy, HttpServer, Koa, Nginx, Service
from bench.stack import load_catalogue

CORES = f"0-{(os.cpu_count() or 1) - 1}"
BARE = {"NEAR_BYTES": "0", "FAST_LANE": "0"}
NEAR = {"FAST_LANE": "0"}


@dataclass
class Base:
    """What rungs share: real servers with the catalogue, started once; ``folder`` for files."""

    running: ExitStack
    folder: Path
    cassandra: CassandraNode | None = None
    redis: RedisServer | None = None
    is_full: bool = False
    """Whether Redis has every row."""
    is_warm: bool = False
    """Whether Cassandra's JVM has compiled what it runs."""

    def stores(self) -> tuple[CassandraNode, RedisServer]:
        """Cassandra with the catalogue, and Redis, which later rungs find as earlier ones left it:
        full, as it is where a site has been up for an hour."""
        if self.cassandra is None:
            self.cassandra = self.running.enter_context(CassandraNode())
            load_catalogue({**os.environ, **settings_of(self.cassandra)})
        if self.redis is None:
            self.redis = self.running.enter_context(RedisServer())
        return self.cassandra, self.redis

    def embedded(self) -> Mapping[str, str]:
        """A SQLite file with the catalogue."""
        path = self.folder / "content.sqlite3"
        settings = {"EMBEDDED_PATH": str(path)}
        if not path.exists():
            load_catalogue({**os.environ, **settings})
        return settings


@dataclass
class Standing:
    """A rung that stands: ``entry`` is what is asked, ``roles`` is everything that works for it."""

    entry: HttpServer
    roles: dict[str, list[Server]] = field(default_factory=dict)

    @property
    def bearers(self) -> list[Server]:
        return [server for servers in self.roles.values() for server in servers]


Build = Callable[[Base, ExitStack], Standing]


@dataclass(frozen=True)
class Rung:
    """``note`` says what is new on it; ``is_peer``: not ours; ``fills``: begins with an empty
    cache of its own;
    ``writes``: takes writes."""

    name: str
    note: str
    build: Build
    is_peer: bool = False
    fills: bool = False
    writes: bool = True


def _embedded(base: Base, running: ExitStack) -> Standing:
    service = _started(running, {**base.embedded(), **BARE})
    return Standing(service, {"service": [service]})


def _on(more: Mapping[str, str], *, with_redis: bool = True) -> Build:
    def build(base: Base, running: ExitStack) -> Standing:
        cassandra, redis = base.stores()
        used = redis if with_redis else None
        service = _started(running, {**settings_of(cassandra, used), **more})
        stands = Standing(service, {"service": [service], "cassandra": [cassandra]})
        if used:
            stands.roles["redis"] = [used]
        return stands

    return build


def _replicas(count: int) -> Build:
    def build(base: Base, running: ExitStack) -> Standing:
        cassandra, redis = base.stores()
        settings = settings_of(cassandra, redis)
        replicas = [_started(running, settings, f"web{at}") for at in range(count)]
        balancer = running.enter_context(HAProxy(CORES, replicas))
        return Standing(
            balancer,
            {
                "service": list(replicas),
                "cassandra": [cassandra],
                "redis": [redis],
                "balancer": [balancer],
            },
        )

    return build


def _nginx(base: Base, running: ExitStack) -> Standing:
    stands = _on({})(base, running)
    nginx = running.enter_context(Nginx(CORES, stands.entry.url))
    return Standing(nginx, {**stands.roles, "nginx": [nginx]})


def _koa(base: Base, running: ExitStack) -> Standing:
    cassandra, redis = base.stores()
    koa = running.enter_context(Koa(CORES, redis.port, cassandra.port))
    return Standing(koa, {"koa": [koa], "cassandra": [cassandra], "redis": [redis]})


def _started(running: ExitStack, settings: Mapping[str, str], name: str = "service") -> Service:
    own = {"DRAIN_S": "0", "HOST": "127.0.0.1", **settings}
    return running.enter_context(Service(name, CORES, own))


def rungs() -> Iterator[Rung]:
    """From the ground up, and then the peers."""
    yield Rung("embedded", "one process and SQLite; no cache", _embedded)
    alone = _on(BARE, with_redis=False)
    yield Rung("Cassandra", "every read goes there", alone)
    yield Rung("+ Redis", "rows and lists as finished bytes", _on(BARE))
    yield Rung("+ near cache", "in the process, coherent by push", _on(NEAR))
    yield Rung("+ fast lane", "hits written before they become requests: the default", _on({}))
    for count in (1, 2, 3):
        name = f"{count} replica{'s' * (count > 1)}"
        yield Rung(name, "behind HAProxy, on the same cores", _replicas(count))
    shape = "the original's shape: a hash a row, prepared statements; reads alone"
    yield Rung("Koa", shape, _koa, is_peer=True, fills=True, writes=False)
    cached = "proxy_cache for an hour, not coherent, before our top rung"
    yield Rung("nginx", cached, _nginx, is_peer=True, fills=True)


TOP = "+ fast lane"
