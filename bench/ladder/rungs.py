"""The rungs: the servers of each, one layer more than the rung before, and the peers beside them.

Every server may use every core. A rung differs from the rung before by one setting or one process.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from bench.lab.asking import ids_of, seconds_until
from bench.lab.balancer import Balancer
from bench.lab.processes import Server
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of
from bench.lab.targets import HttpServer, Service, catalogue, load_catalogue
from bench.load.activity import reads
from bench.peers.servers import Koa, Nginx

BARE = {"NEAR_BYTES": "0", "FAST_LANE": "0"}
NEAR = {"FAST_LANE": "0"}
TOP = "+ fast lane"
BUYS = {
    "embedded": "SQLite in the process: no servers to run, but no other process has its rows.",
    "Cassandra": "Replicas share the rows, which outlive a machine. Every read asks Cassandra.",
    "+ Redis": "Replicas share finished answers: Cassandra is asked once for a row, not each time.",
    "+ near cache": "The process keeps popular answers: a hit needs no network. Writes are pushed.",
    TOP: "A hit is answered before Starlette sees the request. This is the default.",
    "1 replica": "HAProxy in front: it costs a hop, and hides a restart from visitors.",
    "2 replicas": "One may fail or be updated. Both share the cores, so it is no faster.",
    "3 replicas": "One may fail while another is updated.",
    "Koa uncached": "The Koa original before it had Redis: a statement for each id. Reads alone.",
    "Koa + Redis": "The Koa original: a hash a row in Redis, filled on a miss. Reads alone.",
    "nginx": "proxy_cache for an hour before our top rung. It hears of no write: no alternative.",
}
"""What each rung adds to the rung that it is compared with, in a sentence."""


class Standing(NamedTuple):
    """A rung that stands: ``entry`` is asked, and ``roles`` has every server by its role."""

    entry: HttpServer
    roles: Mapping[str, Sequence[Server]]


@dataclass
class Base:
    """What rungs share: real servers with the catalogue, or with ``rows`` generated ones.
    ``is_full`` says that Redis has every row, ``is_warm`` that Cassandra's JVM is warm."""

    running: ExitStack
    folder: Path
    rows: int = 0
    is_full: bool = False
    is_warm: bool = False

    @cached_property
    def cassandra(self) -> CassandraNode:
        """Cassandra with the catalogue."""
        node = self.running.enter_context(CassandraNode())
        self.load(settings_of(node))
        return node

    @cached_property
    def redis(self) -> RedisServer:
        """Redis as earlier rungs left it."""
        return self.running.enter_context(RedisServer())

    def load(self, settings: Mapping[str, str]) -> None:
        """Put the catalogue into a store that has none."""
        if self.rows:
            catalogue(settings, "generate", str(self.rows))
        else:
            load_catalogue(settings)

    def ids(self, stands: Standing) -> Path:
        """Return the file of all ids; that of the first rung serves all, with the same rows."""
        ids = self.folder / "ids"
        if not ids.exists():
            ids.write_text("\n".join(ids_of(stands.entry)) + "\n")
        return ids

    def requests(self, ids: Path) -> Path:
        """Return the file of the visitors' reads for ``bench/wrk/replay.lua``."""
        requests = self.folder / "requests"
        if not requests.exists():
            found = reads(ids.read_text().split())
            urgency = ((each.path, each.headers.decode().strip()[-3:]) for each in found)
            requests.write_text("".join(f"{path} {each or 'u=3'}\n" for path, each in urgency))
        return requests


Build = Callable[[Base, ExitStack], Standing]


class Rung(NamedTuple):
    """A rung that is compared with the rung ``against``, in a figure of the report. A peer's cache
    is empty at first. A rung without ``writes`` is offered reads alone."""

    name: str
    against: str
    build: Build
    figure: str = "ladder"
    writes: bool = True


def embedded(more: Mapping[str, str]) -> Build:
    """Return how to start one process and SQLite, with further settings."""

    def build(base: Base, running: ExitStack) -> Standing:
        path = base.folder / "content.sqlite3"
        settings = {"EMBEDDED_PATH": str(path)}
        if not path.exists():
            base.load(settings)
        service = running.enter_context(Service({**settings, **more}))
        return Standing(service, {"service": [service]})

    return build


def on_stores(
    more: Mapping[str, str], *, with_redis: bool = True, balanced: int | None = None
) -> Build:
    """Return how to start one process before the stores, or several ``balanced`` by HAProxy."""

    def build(base: Base, running: ExitStack) -> Standing:
        roles: dict[str, Sequence[Server]] = {"cassandra": [base.cassandra]}
        if with_redis:
            roles["redis"] = [base.redis]
        settings = {**settings_of(base.cassandra, base.redis if with_redis else None), **more}
        services = [
            running.enter_context(Service(settings, name=f"web{at}")) for at in range(balanced or 1)
        ]
        roles["service"] = services
        if balanced is None:
            return Standing(services[0], roles)
        balancer = running.enter_context(Balancer(services))
        if seconds_until(balancer.all_up) is None:
            raise ServerError("the balancer finds no replicas")
        return Standing(balancer, {**roles, "balancer": [balancer]})

    return build


def _nginx(base: Base, running: ExitStack) -> Standing:
    stands = on_stores({})(base, running)
    nginx = running.enter_context(Nginx(stands.entry.url))
    return Standing(nginx, {**stands.roles, "nginx": [nginx]})


def _koa(mode: str) -> Build:
    def build(base: Base, running: ExitStack) -> Standing:
        koa = running.enter_context(Koa(mode, base.redis.port, base.cassandra.port))
        redis = {"redis": [base.redis]} if mode == "shape" else {}
        return Standing(koa, {"koa": [koa], "cassandra": [base.cassandra], **redis})

    return build


RUNGS = (
    Rung("embedded", "", embedded(BARE)),
    Rung("Cassandra", "embedded", on_stores(BARE, with_redis=False)),
    Rung("+ Redis", "Cassandra", on_stores(BARE)),
    Rung("+ near cache", "+ Redis", on_stores(NEAR)),
    Rung(TOP, "+ near cache", on_stores({})),
    Rung("1 replica", TOP, on_stores({}, balanced=1), "replicas"),
    Rung("2 replicas", "1 replica", on_stores({}, balanced=2), "replicas"),
    Rung("3 replicas", "2 replicas", on_stores({}, balanced=3), "replicas"),
    Rung("Koa uncached", "Cassandra", _koa("bare"), "peers", writes=False),
    Rung("Koa + Redis", "+ Redis", _koa("shape"), "peers", writes=False),
    Rung("nginx", TOP, _nginx, "peers"),
)
