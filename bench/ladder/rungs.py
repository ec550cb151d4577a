"""The rungs: the servers of each, one layer more than the rung before, and the peers beside them.

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


Build = Callable[[Base, ExitStack], Standing]


@dataclass(frozen=True)
class Rung:
    """``buys`` says in a sentence what the rung adds to the rung ``against``.

    ``figure`` names the figure of the report that shows the rung. A peer's cache is empty at first.
    A rung without ``writes`` is offered reads alone.
    """

    name: str
    buys: str
    build: Build
    against: str = ""
    figure: str = "ladder"
    writes: bool = True

    @property
    def is_peer(self) -> bool:
        """Whether the rung is no part of this service."""
        return self.figure == "peers"


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


def _koa(mode: str) -> Build:
    def build(base: Base, running: ExitStack) -> Standing:
        cassandra, redis = base.stores()
        koa = running.enter_context(Koa(mode, redis.port, cassandra.port))
        servers: dict[str, list[Server]] = {"koa": [koa], "cassandra": [cassandra]}
        return Standing(koa, servers | ({"redis": [redis]} if mode == "shape" else {}))

    return build


def rungs() -> Iterator[Rung]:
    """Yield the rungs from the ground up, then the replicas, and then the peers."""
    yield Rung(
        "embedded",
        "SQLite in the process: no servers to run, but the rows belong to this process alone.",
        _embedded,
    )
    yield Rung(
        "Cassandra",
        "Replicas share the rows, which outlive a machine. Every read asks Cassandra.",
        _on(BARE, with_redis=False),
        "embedded",
    )
    yield Rung(
        "+ Redis",
        "Replicas share finished answers: Cassandra is asked once for a row, not for each read.",
        _on(BARE),
        "Cassandra",
    )
    yield Rung(
        "+ near cache",
        "The process itself keeps popular answers, so a hit needs no network. Writes are pushed.",
        _on(NEAR),
        "+ Redis",
    )
    yield Rung(
        TOP,
        "A hit is answered before Starlette sees the request. This is the default.",
        _on({}),
        "+ near cache",
    )
    for count, against, buys in (
        (1, TOP, "HAProxy in front: it costs a hop, and hides a restart from visitors."),
        (2, "1 replica", "One may fail or be updated. Both share the cores, so it is no faster."),
        (3, "2 replicas", "One may fail while another is updated."),
    ):
        name = f"{count} replica{'s' * (count > 1)}"
        yield Rung(name, buys, _replicas(count), against, "replicas")
    yield from peers()


def peers() -> Iterator[Rung]:
    """Yield the other servers, each ``against`` the rung whose work it does."""
    yield Rung(
        "Koa uncached",
        "The Koa original before it had Redis: a statement for each id. Reads alone.",
        _koa("bare"),
        "Cassandra",
        "peers",
        writes=False,
    )
    yield Rung(
        "Koa + Redis",
        "The Koa original: a hash a row in Redis, filled on a miss. Reads alone.",
        _koa("shape"),
        "+ Redis",
        "peers",
        writes=False,
    )
    yield Rung(
        "nginx",
        "proxy_cache for an hour before our top rung. It hears of no write: no alternative.",
        _nginx,
        TOP,
        "peers",
    )
