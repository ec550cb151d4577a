"""The world of a drill: its servers, requests and outages, and the table of its results."""

import itertools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import orjson

from bench.lab.asking import is_ready, seconds_until
from bench.lab.processes import Server
from bench.lab.servers import CassandraNode, Place, RedisServer, settings_of
from bench.lab.spawn import ServerError
from bench.lab.targets import Service, installed, load_catalogue
from bench.load.activity import is_row
from bench.load.loops import ClosedLoop
from bench.load.wire import Request

WARMING = 8  # requests at a time
DRAWS = 1_000
HEAD = "\n| drill | broken | what had to hold | seen | |\n|---|---|---|---|---|"


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

    def __init__(self, running: ExitStack) -> None:
        self._running = running

    @cached_property
    def cassandra(self) -> CassandraNode:
        node = self._running.enter_context(CassandraNode())
        load_catalogue(settings_of(node))
        return node

    def mended(self) -> None:
        """Mend what a failed drill has left broken."""
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
        """Whether the short form is asked for."""
        return self.options.is_short

    @property
    def patience(self) -> dict[str, str]:
        """The short form runs beside other tests, on machines where Redis' answers are late for no
        fault of its own; what is asked there is whether it holds, not how soon."""
        return {"REDIS_DEADLINE_S": "0.5"} if self.is_short else {}

    @property
    def cassandra(self) -> CassandraNode:
        """The Cassandra that drills share."""
        return self.stand.cassandra

    def redis(self) -> RedisServer:
        """Start a Redis for this drill."""
        return self.running.enter_context(RedisServer())

    def service(
        self, cassandra: Place | None = None, redis: Place | None = None, /, **settings: str
    ) -> Service:
        """Start a service on these servers."""
        folder = self.folder / f"service{len(list(self.folder.iterdir()))}"
        started = Service({**settings_of(cassandra, redis), **settings}, folder)
        return self.running.enter_context(started)

    def has(self, broken: str, bar: str, *programs: str) -> bool:
        """Return whether this machine has the programs; if not, add a row that names the skip."""
        try:
            for program in programs:
                installed(program)
        except ServerError as missing:
            self.judge(broken, bar, f"SKIPPED: {missing}", None)
            return False
        return True

    def judge(self, broken: str, bar: str, seen: str, holds: bool | None) -> None:
        """Add a row, and show it at once, because a drill takes a while."""
        if not self.findings:
            print(HEAD)
        finding = Finding(self.name, broken, bar, seen, holds)
        self.findings.append(finding)
        print(finding, flush=True)


@contextmanager
def made(name: str, options: Options, stand: Stand) -> Iterator[World]:
    """Make the world of one drill."""
    with TemporaryDirectory(prefix=f"drill-{name}-") as folder, ExitStack() as running:
        yield World(name, options, stand, running, Path(folder))
    stand.mended()  # for the next one; not when we are interrupted


def reading(video_id: str, kind: str = "read", headers: bytes = b"") -> Request:
    """Return a GET of a row, counted under ``kind``, whose answer is checked."""
    return Request(f"/content/{video_id}", headers, kind, is_row(video_id))


def writes(ids: Sequence[str]) -> Iterator[Request]:
    """Yield checked PATCHes of durations without end, in turn: no two are of one row at once."""
    for number in itertools.count():
        video_id, body = ids[number % len(ids)], orjson.dumps({"duration": 1 + number})
        yield Request(f"/content/{video_id}", b"", "write", is_row(video_id), "PATCH", body)


def zipf(requests: Sequence[Request], exponent: float = 0.9) -> Iterator[Request]:
    """Draw requests without end; the n-th has the weight 1 / n ** ``exponent``."""
    weights = list(itertools.accumulate((at + 1) ** -exponent for at in range(len(requests))))
    while True:
        yield from random.choices(requests, cum_weights=weights, k=DRAWS)


def mixed(*parts: tuple[float, Iterator[Request]]) -> Iterator[Request]:
    """Draw each request from one of ``parts`` by its share; end with the first that ends."""
    shares, sources = zip(*parts, strict=True)
    while True:
        for source in random.choices(sources, shares, k=DRAWS):
            request = next(source, None)
            if request is None:
                return
            yield request


def warm(server: Server, requests: Iterable[Request]) -> None:
    """Ask for each once, and wait for the answers; raises AssertionError if one fails."""
    queue = iter(requests)
    done = ClosedLoop(server.host, server.port, queue, float("inf"), WARMING).to_end()
    assert not done.tally().failed, done.tally()


Drill = Callable[[World], None]


def said(seconds: float | None) -> str:
    """Return a time in words."""
    return "never" if seconds is None else f"after {seconds:.1f} s"


class Outage(NamedTuple):
    """Moments of the monotonic clock, and how long ``/readyz`` took to say so, in seconds."""

    what: str
    since_s: float
    degraded_s: float | None
    mending_s: float
    mended_s: float
    ready_s: float | None
    until_s: float


def suffer(
    service: Service,
    what: str,
    breaks: Callable[[], object],
    mends: Callable[[], object],
    meanwhile: Callable[[], object],
    after_s: float,
) -> Outage:
    """Break a server, do ``meanwhile`` once the service has noticed, mend it, and wait."""
    since_s = time.monotonic()
    breaks()
    degraded_s = seconds_until(lambda: is_ready(service, "degraded"))
    meanwhile()
    mending_s = time.monotonic()
    mends()
    mended_s = time.monotonic()
    ready_s = seconds_until(lambda: is_ready(service, "ready"))
    time.sleep(after_s)
    return Outage(what, since_s, degraded_s, mending_s, mended_s, ready_s, time.monotonic())


def judge_state(world: World, outage: Outage) -> None:
    """Judge whether the service tells its state, and mends it."""
    world.judge(
        outage.what,
        "/readyz: degraded, then ready, by itself",
        f"degraded {said(outage.degraded_s)}, ready {said(outage.ready_s)} of its answer",
        outage.degraded_s is not None and outage.ready_s is not None,
    )
