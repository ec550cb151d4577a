"""A random run of writers on a few rows; in the end every list has to agree with the rows.

`python -m bench.consistency.lives --seconds 60 --seed 1` runs on Cassandra and on the embedded
store. Writers create, change, delete and create again the same rows, an importer loads a changing
file, replies of Cassandra are lost, and services are stopped in order or killed. Then comes a rest.
After it:

- each row has one line in each of its genres, with its own ``created``, and there is no other line;
- the list of genres has exactly the genres that have lines;
- no import brought back a row whose deletion was acknowledged.

A kill may leave a list behind until ``python -m db.catalog repair``; the run then says what was
left, and the lists have to agree after the repair. `--no-kills` allows nothing to be left.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.consistency.lives_writers import Course, Outcome, run_course
from bench.lab.lost_replies import LostReplies
from bench.lab.processes import interruptible
from bench.lab.servers import CassandraNode, settings_of
from bench.lab.store_lines import lines, rows_of
from bench.lab.targets import Service, catalogue
from config import Config
from db.store import open_store
from errors import Late, Unavailable

LOST_SHARE = 0.05
REST_S = 35.0
"""Longer than a write of unknown outcome is settled, and a name of a genre looked at."""
EMBEDDED_REST_S = 1.0
UP_S = 60.0


@dataclass(frozen=True)
class Options:
    """The options of a run; ``share`` of the transactions is lost."""

    seconds: float = 60.0
    seed: int = 1
    kills: bool = True
    share: float = LOST_SHARE


@dataclass
class State:
    """The state of a store: its rows, missing and wrong lines, and wrong names of genres."""

    rows: set[str]
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Every fault, for people."""
        return [
            *(f"missing line: {each}" for each in self.missing),
            *(f"line of nothing: {each}" for each in self.extra),
            *(f"wrong in the list of genres: {each}" for each in self.names),
        ]


@dataclass
class Report:
    """``left``: the faults before a repair; ``faults``: those that must not be."""

    store: str
    options: Options
    outcome: Outcome
    lost: Mapping[str, int]
    left: list[str]
    faults: list[str]

    def lines(self) -> list[str]:
        """Return the report for people."""
        return [
            f"{self.store}, seed {self.options.seed}",
            f"answers: {dict(sorted(self.outcome.statuses.items()))}",
            f"done to it: {dict(self.outcome.done)}, transactions lost: {dict(self.lost)}",
            *(f"before the repair: {each}" for each in self.left),
            *self.faults,
            f"faults: {len(self.faults)}",
        ]


async def look(config: Config) -> State:
    """Read every row and every line from the store itself."""
    store = open_store(config)
    await store.open()
    try:
        async with asyncio.timeout(UP_S):
            while True:
                try:
                    rows = await rows_of(store, config)
                    listed = Counter(await lines(store, config))
                    names = Counter(await store.genres())
                    break
                except (Late, Unavailable):  # not connected yet
                    await asyncio.sleep(0.1)
    finally:
        await store.close()
    wanted = Counter(
        (genre, each.created, each.row["id"]) for each in rows for genre in each.row["genres"]
    )
    genres = Counter({genre for genre, *_ in listed})
    return State(
        {each.row["id"] for each in rows},
        [str(each) for each in (wanted - listed).elements()],
        [str(each) for each in (listed - wanted).elements()],
        [*((genres - names) + (names - genres)).elements()],
    )


def run(
    store: str, settings: Mapping[str, str], writers: Sequence[Mapping[str, str]], options: Options
) -> Report:
    """Run on the store of ``settings``; each service of ``writers`` has settings of its own."""
    with TemporaryDirectory(prefix="lives-") as name, ExitStack() as running:
        folder, config = Path(name), Config.from_env(settings)
        replicas = [
            running.enter_context(Service(each, folder / f"replica{n}"))
            for n, each in enumerate(writers)
        ]
        course = Course(
            uuid.uuid4().hex[:8], options.seed, options.seconds, options.kills, folder, settings
        )
        outcome = asyncio.run(run_course(course, replicas))
        wait_s = REST_S if config.cassandra_host else EMBEDDED_REST_S
        asyncio.run(asyncio.sleep(wait_s))
        state = asyncio.run(look(config))
        left = state.faults if outcome.done["kill"] else []
        if left:
            catalogue(settings, "repair")
            state = asyncio.run(look(config))
        back = sorted(outcome.deleted & state.rows)
        faults = state.faults + [f"imported again: {each}" for each in back]
        faults += [f"unforeseen answer {each}" for each in outcome.unforeseen]
        return Report(store, options, outcome, {}, left, faults)


def run_embedded(options: Options) -> Report:
    """Run on an embedded store."""
    with TemporaryDirectory(prefix="lives-") as folder:
        settings = {"EMBEDDED_PATH": f"{folder}/content.sqlite3"}
        return run("embedded", settings, [settings, settings], options)


def run_cassandra(node: CassandraNode, options: Options) -> Report:
    """Run on a Cassandra that loses transactions, or their replies."""
    settings = {**settings_of(node), "CASSANDRA_KEYSPACE": f"lives_{uuid.uuid4().hex[:8]}"}
    with ExitStack() as running:
        place = node.host, node.port, options.share
        proxies = [
            running.enter_context(LostReplies(*place, seed=options.seed + n)) for n in range(2)
        ]
        writers = [{**settings, "CASSANDRA_PORT": str(each.port)} for each in proxies]
        report = run("cassandra", settings, writers, options)
        report.lost = {k: sum(each.lost[k] for each in proxies) for k in ("before", "after")}
        return report


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    logging.basicConfig(level=logging.WARNING, format="lives: %(message)s")
    parser = argparse.ArgumentParser(prog="python -m bench.consistency.lives", description=__doc__)
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--seed", type=int, default=uuid.uuid4().int % 1_000_000)
    parser.add_argument("--no-kills", dest="kills", action="store_false")
    options = Options(**vars(parser.parse_args(arguments)))
    print(f"seed {options.seed}", flush=True)
    with interruptible(), CassandraNode() as node:
        reports = [run_embedded(options), run_cassandra(node, options)]
        for report in reports:
            print("\n".join(report.lines()), flush=True)
        return 1 if any(report.faults for report in reports) else 0
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
