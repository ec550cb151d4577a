"""One round of the consistency check: its processes, and its report."""

import asyncio
import multiprocessing
import re
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import uvloop

from bench.consistency.chaos import END_SETTINGS, Chaos, Options, World
from bench.consistency.end import check_end, check_lists, stored
from bench.consistency.judge import Judge, Verdict
from bench.consistency.readers import Readings, run_readers
from bench.consistency.writers import Course, Rows, Write, run_writers
from bench.lab.processes import Server
from bench.lab.proxy import Proxy
from bench.lab.sentinel import Watched
from bench.lab.servers import settings_of
from bench.lab.targets import Service, catalogue
from config import Config
from db.version import new_id

REPLICAS = 2
LAYERS = ("near", "redis", "store", "collapsed", "stale", "absent")
NEAR_S = 6.0  # the near caches' TTL and a little
END_S = 60.0
LOG_LINES = 12  # of a traceback
UNFORESEEN = re.compile("never retrieved|Exception in|Internal Server Error")


@dataclass
class Report:
    """What a run has done and seen; ``chaos`` counts the faults by their names."""

    options: Options
    counts: Counter[str]
    writes: Sequence[Write]
    verdict: Verdict
    chaos: Counter[str]

    @property
    def checked(self) -> int:
        """The number of reads that were checked."""
        return sum(self.counts[each] for each in LAYERS)

    def lines(self) -> list[str]:
        """Return the report for people."""
        late = self.verdict.late_s
        answers = Counter(f"{write.method} {write.status}" for write in self.writes)
        held = sum(write.held for write in self.writes)
        refused = Counter(orjson.loads(w.body)["message"] for w in self.writes if w.status == 503)
        lines = [
            f"{self.checked:,} reads checked in {self.options.seconds:.0f} s: {dict(self.counts)}",
            f"{held:,} writes acknowledged: {dict(sorted(answers.items()))}",
            f"lost: {self.verdict.violations['lost write']}",
            f"refused: {dict(refused) or 'none'}",
            f"done to it: {dict(self.chaos)}",
            *(f"old answers from {layer}: {_spread(late[layer])}" for layer in late),
            f"went back behind a write under way whose intent was lost: {self.verdict.unfenced}",
            f"violations: {dict(self.verdict.violations) or 'none'}",
        ]
        return lines + self.verdict.examples


def _spread(seconds: Sequence[float]) -> str:
    median_ms, most_ms = statistics.median(seconds) * 1000, max(seconds) * 1000
    return f"{len(seconds):,}; median {median_ms:.2f}, at most {most_ms:.2f} ms"


def run_load(world: World, options: Options) -> Report:
    """Run writers and readers in a process of their own, and chaos from here; examine the end."""
    run = f"run-{uuid.uuid4().hex[:8]}"
    course = Course(
        run,
        ports=tuple(replica.port for replica in world.replicas),
        ids=tuple(new_id(f"{run}-{key}") for key in range(options.keys)),
        options=options,
        newest=[0] * options.keys,
    )
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        load = pool.submit(run_course, course)
        chaos = Chaos(world, options)
        chaos.run()
        rows, readings = load.result(END_S)
    judge = Judge(rows.log, Config.from_env(world.settings).near_ttl_s, chaos.unfenced_s)
    for key, text in rows.old:
        judge.at_rest("old at rest", key, text)
    if readings.counts["cut off"] and not options.ends_replicas:
        judge.verdict.convict("malformed", f"{readings.counts['cut off']} connections were closed")
    judge.readings(readings)
    examine(judge, world, course, "crash" in options.faults)
    return Report(options, readings.counts, rows.log, judge.verdict, chaos.counts)


def run_course(course: Course) -> tuple[Rows, Readings]:
    """Run writers and readers to their end."""

    async def both() -> tuple[Rows, Readings]:
        return await asyncio.gather(run_writers(course), run_readers(course))

    return uvloop.run(both())


def examine(judge: Judge, world: World, course: Course, may_be_left: bool) -> None:
    """Judge the rows and lists at the end, and the logs of the replicas. A crash may leave a list
    behind until ``python -m db.catalog repair``, of which no replica hears."""
    time.sleep(NEAR_S)
    config = Config.from_env(world.settings)
    rows, faults = asyncio.run(stored(config))
    if is_behind := bool(faults) and may_be_left:
        catalogue(world.settings, "repair")
        rows, faults = asyncio.run(stored(config))
    for fault in faults:
        judge.verdict.convict("list in the store", fault)
    check_end(world, course, judge, rows)
    if not is_behind:
        check_lists(world, course, judge, rows)
    for replica in world.replicas:
        assert replica.log_path is not None
        lines = replica.log_path.read_text().splitlines()
        for at, line in enumerate(lines):
            if UNFORESEEN.search(line):  # a 503 or 504 has its traceback, too, so not that
                judge.verdict.convict("unforeseen", " | ".join(lines[at : at + LOG_LINES]))


def run_on(cassandra: Server, redis: Server | Watched, options: Options) -> Report:
    """Run the check on these servers, with replicas and a keyspace of its own. With sentinels a
    failover takes the place of the restart of Redis, and no other fault occurs."""
    restart: Callable[[], object]
    if isinstance(redis, Server):
        found, master, restart = settings_of(None, redis), redis, redis.restart
    else:
        options = replace(options, faults=())
        found, master, restart = redis.settings, redis.master(), redis.replace_master
    with ExitStack() as running:
        folder = Path(running.enter_context(TemporaryDirectory(prefix="consistency-")))
        settings = {
            **settings_of(cassandra),
            **found,
            **(END_SETTINGS if options.ends_replicas else {}),
            "CASSANDRA_KEYSPACE": f"consistency_{uuid.uuid4().hex[:8]}",
        }
        proxies = [
            running.enter_context(Proxy(cassandra.host, cassandra.port)) for _ in range(REPLICAS)
        ]
        replicas = [
            running.enter_context(
                Service({**settings, "CASSANDRA_PORT": str(proxy.port)}, folder / f"replica{n}")
            )
            for n, proxy in enumerate(proxies)
        ]
        return run_load(World(settings, master, replicas, proxies, restart), options)
