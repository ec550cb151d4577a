"""The world of a drill: its servers, its services, and the table of what was seen."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urljoin

import orjson

from bench.consistency.world import Replica
from bench.lab.processes import Server
from bench.lab.servers import CassandraNode, RedisServer, settings_of
from bench.lab.spawn import ServerError
from bench.stack import load_catalogue

HEAD = "\n| drill | broken | what had to hold | seen | |\n|---|---|---|---|---|"
PAGE = 5_000
POLL_S = 0.02
IDS_S = 60.0
STATE_S = 20.0
"""As long as a state of ``/readyz`` is waited for. What is judged is that it comes at all."""


class Finding(NamedTuple):
    """A row of the table. ``holds`` is None where nothing was to hold, or could not be tried."""

    drill: str
    broken: str
    bar: str
    seen: str
    holds: bool | None

    def __str__(self) -> str:
        verdict = {True: "pass", False: "FAIL", None: "-"}[self.holds]
        return f"| {self.drill} | {self.broken} | {self.bar} | {self.seen} | {verdict} |"


@dataclass(frozen=True)
class Options:
    """``minutes`` is for the soak, ``restarts`` and ``drain_s`` for the restarts."""

    is_short: bool = False
    minutes: float = 10.0
    restarts: int = 5
    drain_s: float = 2.0


class Stand:
    """The Cassandra that drills share, as it is slow to start; with the catalogue in it."""

    def __init__(self, running: ExitStack, heap: str = "1G") -> None:
        self._running, self._heap = running, heap

    @cached_property
    def cassandra(self) -> CassandraNode:
        node = self._running.enter_context(CassandraNode(heap=self._heap))
        load_catalogue(settings_of(node))
        return node

    def mended(self) -> None:
        """Whatever a drill that failed has left broken."""
        if "cassandra" in vars(self):
            if self.cassandra.running:
                self.cassandra.resume()
            self.cassandra.start()


@dataclass
class World:
    """What a drill is given: ``running`` ends with the drill, and with it what it started."""

    name: str
    options: Options
    stand: Stand
    running: ExitStack
    folder: Path
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_short(self) -> bool:
        return self.options.is_short

    @property
    def patience(self) -> dict[str, str]:
        """The short form runs beside other tests, on machines where Redis' answers are late for no
        fault of its own; what is asked there is whether it holds, not how soon."""
        return {"REDIS_DEADLINE_S": "0.5"} if self.is_short else {}

    @property
    def cassandra(self) -> CassandraNode:
        return self.stand.cassandra

    def redis(self) -> RedisServer:
        """A new one."""
        return self.running.enter_context(RedisServer())

    def service(
        self, cassandra: Server | None = None, redis: Server | None = None, /, **settings: str
    ) -> Replica:
        """A new one on these servers, ready."""
        folder = self.folder / f"service{len(list(self.folder.iterdir()))}"
        started = Replica({**settings_of(cassandra, redis), **settings}, folder)
        return self.running.enter_context(started)

    def judge(self, broken: str, bar: str, seen: str, holds: bool | None) -> None:
        """One more row, shown at once: a drill takes a while."""
        if not self.findings:
            print(HEAD)
        finding = Finding(self.name, broken, bar, seen, holds)
        self.findings.append(finding)
        print(finding, flush=True)


@contextmanager
def made(name: str, options: Options, stand: Stand) -> Iterator[World]:
    """A world for one drill."""
    with TemporaryDirectory(prefix=f"drill-{name}-") as folder, ExitStack() as running:
        yield World(name, options, stand, running, Path(folder))
    stand.mended()  # for the next one; not when we are interrupted


Drill = Callable[[World], None]


class Told(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    data: Any


def ask(
    service: Server, path: str, method: str = "GET", body: Any = None, timeout_s: float = 10.0
) -> Told:
    """One request on a connection of its own; ``data`` is what its envelope has, or the text."""
    connection = http.client.HTTPConnection(service.host, service.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, orjson.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    if response.headers.get("content-type") == "application/json":
        return Told(response.status, response.headers, orjson.loads(content).get("data"))
    return Told(response.status, response.headers, content.decode())


def ids_of(service: Server) -> list[str]:
    """All of the catalogue's; a store that has just been filled may be too busy at first."""
    found: list[str] = []
    path, deadline_s = f"/uuids?limit={PAGE}", time.monotonic() + IDS_S
    while path:
        told = ask(service, path)
        if told.status == 200:
            found += told.data
            following = told.headers.get("link", "").partition("<")[2].partition(">")[0]
            path = urljoin(path, following) if following else ""
        elif time.monotonic() > deadline_s:
            raise ServerError(f"the catalogue's ids cannot be read: {told.status}")
        else:
            time.sleep(1)
    return found


def seconds_until(holds: Callable[[], bool], bound_s: float = STATE_S) -> float | None:
    """How long it took; None when it did not come."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > bound_s:
            return None
        time.sleep(POLL_S)
    return time.monotonic() - began


def is_ready(service: Server, state: str) -> bool:
    """Whether ``/readyz`` says 200 and ``state``."""
    told = ask(service, "/readyz")
    return told.status == 200 and told.data["state"] == state


def said(seconds: float | None) -> str:
    return "never" if seconds is None else f"after {seconds:.1f} s"
