"""The rungs: which servers stand on each, one layer more than on the one before.

Every server may use every core, the load's included: three replicas have no more cores than one.
What differs between rungs is one setting or one process; the rows and the activity are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.lab.asking import ids_of, seconds_until
from bench.lab.balancer import Balancer
from bench.lab.processes import Server
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import HttpServer, Service, load_catalogue
from bench.load.activity import reads
from bench.peers.servers import Koa, Nginx

BARE = {"NEAR_BYTES": "0", "FAST_LANE": "0"}
NEAR = {"FAST_LANE": "0"}
TOP = "+ fast lane"


@dataclass
class Base:
    """What rungs share: real servers with the catalogue, started once; ``folder`` for files.

    ``is_full`` says that Redis has every row, ``is_warm`` that Cassandra's JVM is warm.
    """

    running: ExitStack
    folder: Path
    cassandra: CassandraNode | None = None
    redis: RedisServer | None = None
    is_full: bool = False
    is_warm: bool = False

    def stores(self) -> tuple[CassandraNode, RedisServer]:
        """Return Cassandra with the catalogue, and Redis as earlier rungs left it."""
        if self.cassandra is None:
            self.cassandra = self.running.enter_context(CassandraNode())
            load_catalogue(settings_of(self.cassandra))
        if self.redis is None:
            self.redis = self.running.enter_context(RedisServer())
        return self.cassandra, self.redis

    def inputs(self, stands: Standing) -> tuple[Path, Path]:
        """Return the files of all ids, and of the visitors' reads for ``bench/wrk/replay.lua``.

        Both stores have the same catalogue, so the files of the first rung serve all rungs.
        """
        ids, requests = self.folder / "ids", self.folder / "requests"
        if not ids.exists():
            found = ids_of(stands.entry)
            ids.write_text("\n".join(found) + "\n")
            urgency = ((each.path, each.headers.decode().strip()[-3:]) for each in reads(found))
            requests.write_text("".join(f"{path} {each or 'u=3'}\n" for path, each in urgency))
        return ids, requests


@dataclass
class Standing:
    """A rung that stands: ``entry`` is asked, and ``roles`` has every server by its role."""

    entry: HttpServer
    roles: dict[str, list[Server]] = field(default_factory=dict)

    @property
    def bearers(self) -> list[Server]:
        """All servers."""
        return [server for servers in self.roles.values() for server in servers]


Build = Callable[[Base, ExitStack], Standing]


@dataclass(frozen=True)
class Rung:
    """``note`` names the layer that the rung adds.

    ``is_peer`` marks a peer, whose cache is empty at first.

    A rung without ``writes`` is offered reads alone.
    """

    name: str
    note: str
    build: Build
    is_peer: bool = False
    writes: bool = True


def _embedded(base: Base, running: ExitStack) -> Standing:
    settings = {"EMBEDDED_PATH": str(base.folder / "content.sqlite3")}
    load_catalogue(settings)
    service = running.enter_context(Service({**settings, **BARE}))
    return Standing(service, {"service": [service]})


def _on(more: Mapping[str, str], *, with_redis: bool = True) -> Build:
    def build(base: Base, running: ExitStack) -> Standing:
        cassandra, redis = base.stores()
        settings = settings_of(cassandra, redis if with_redis else None)
        service = running.enter_context(Service({**settings, **more}))
        roles: dict[str, list[Server]] = {"service": [service], "cassandra": [cassandra]}
        return Standing(service, {**roles, "redis": [redis]} if with_redis else roles)

    return build


def _replicas(count: int) -> Build:
    def build(base: Base, running: ExitStack) -> Standing:
        cassandra, redis = base.stores()
        settings = settings_of(cassandra, redis)
        replicas: list[Server] = [
            running.enter_context(Service(settings, name=f"web{at}")) for at in range(count)
        ]
        balancer = running.enter_context(Balancer(replicas))
        if seconds_until(balancer.all_up) is None:
            raise ServerError("the balancer finds no replicas")
        stores: dict[str, list[Server]] = {"cassandra": [cassandra], "redis": [redis]}
        return Standing(balancer, {"service": replicas, **stores, "balancer": [balancer]})

    return build


def _nginx(base: Base, running: ExitStack) -> Standing:
    stands = _on({})(base, running)
    nginx = running.enter_context(Nginx(stands.entry.url))
    return Standing(nginx, {**stands.roles, "nginx": [nginx]})


def _koa(base: Base, running: ExitStack) -> Standing:
    cassandra, redis = base.stores()
    koa = running.enter_context(Koa("shape", redis.port, cassandra.port))
    return Standing(koa, {"koa": [koa], "cassandra": [cassandra], "redis": [redis]})


def rungs() -> Iterator[Rung]:
    """Yield the rungs from the ground up, and then the peers."""
    yield Rung("embedded", "one process and SQLite; no cache", _embedded)
    yield Rung("Cassandra", "every read goes there", _on(BARE, with_redis=False))
    yield Rung("+ Redis", "rows and lists as finished bytes", _on(BARE))
    yield Rung("+ near cache", "in the process, coherent by push", _on(NEAR))
    yield Rung(TOP, "hits written before they become requests: the default", _on({}))
    for count in (1, 2, 3):
        name = f"{count} replica{'s' * (count > 1)}"
        yield Rung(name, "behind HAProxy, on the same cores", _replicas(count))
    shape = "the original's shape: a hash a row, prepared statements; reads alone"
    yield Rung("Koa", shape, _koa, is_peer=True, writes=False)
    cached = "proxy_cache for an hour, not coherent, before our top rung"
    yield Rung("nginx", cached, _nginx, is_peer=True)
