"""`make bench`: what every layer buys, measured on this machine.

    python -m bench.ladder [--quick] [--rate 400] [--only NAME ...] [--folder DIR]

Each rung gets the same activity at a rate that the weakest bears (latency from the time due), and
then as much as it takes (wrk). What needs a program that is not there is left out, and said. The
figures go to ladder.json, report.html and ladder.svg. Status 1: an answer was wrong, or
one in a hundred failed.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import server
from bench.lab.processes import interruptible
from bench.lab.spawn import ServerError
from bench.lab.targets import ROOT, installed
from bench.ladder.machine import beside, machine, versions
from bench.ladder.measure import GENERATORS, PEAK_WARM_S, Load, fill, limit, open_loop, peak
from bench.ladder.rungs import TOP, Base, Rung, Standing, rungs
from bench.load.activity import Behaviour
from bench.report import table, write_report

RESULTS = ROOT / "bench" / "results"
MAY_FAIL = 0.01
WRITES = 0.4  # of the requests that warm the JVM


class Plan(NamedTuple):
    """Seconds and rates of a run.

    ``jvm_s`` warms the JVM, which reads at half its cost after some 60,000 reads, and compiles on a
    core of its own through the first thousands of writes. ``skipped`` rungs tell nothing that
    others do not.
    """

    rate_s: float
    warm_s: float
    open_s: float
    limit_s: int
    jvm_s: int
    peaks_s: tuple[int, ...]
    peak_s: float
    skipped: tuple[str, ...] = ()


RATES = (6_000, 10_000, 14_000, 16_000, 18_000, 20_000)
FULL = Plan(400, 10, 20, 10, 40, RATES, 10)
QUICK = Plan(300, 2, 3, 2, 3, (6_000,), 3, ("1 replica", "2 replicas"))


def climb(rung: Rung, base: Base, plan: Plan, seed: int) -> dict[str, Any]:
    """Measure one rung, from its start to its end."""
    with ExitStack() as running:
        stands = rung.build(base, running)
        ids, requests = base.inputs(stands)
        if "cassandra" in stands.roles and not base.is_warm:
            warm(stands, ids, requests, plan)
            base.is_warm = True
        is_first = "redis" in stands.roles and not (base.is_full or rung.is_peer)
        if rung.is_peer or is_first:
            fill(stands, ids)
            base.is_full |= is_first
        share = Behaviour.write_share if rung.writes else 0.0
        behaviour = Behaviour(rate_s=plan.rate_s, seed=seed, write_share=share)
        load = Load(behaviour, plan.warm_s, plan.open_s)
        scheduled = partial(open_loop, stands, ids, load)
        most = partial(limit, stands, requests, ids, plan.limit_s)
        found: dict[str, Any] = {
            "name": rung.name,
            "note": rung.note,
            "is_peer": rung.is_peer,
            "open": beside(stands.bearers, scheduled),
            "limit": beside(stands.bearers, most),
        }
        rate_s, by = found["limit"]["requests_s"], found["limit"]["by"]
        print(f"  {rung.name}: {rate_s:,.0f} requests/s at most, by {by}")
        if rung.name == TOP:
            shares = (replace(behaviour, write_share=each) for each in (0.0, share))
            loads = (Load(each, PEAK_WARM_S, plan.peak_s, GENERATORS) for each in shares)
            found["peaks"] = [peak(stands, ids, plan.peaks_s, each) for each in loads]
        return found


def warm(stands: Standing, ids: Path, requests: Path, plan: Plan) -> None:
    """Let the JVM read and write as often as a JVM that has been up for an hour."""
    print(f"  twice {plan.jvm_s} s for the JVM to get warm", flush=True)
    limit(stands, requests, ids, plan.jvm_s)
    open_loop(stands, ids, Load(Behaviour(rate_s=plan.rate_s, write_share=WRITES), 0, plan.jvm_s))


def run(plan: Plan, only: Sequence[str], seed: int) -> dict[str, Any]:
    """Measure every rung that this machine can stand on; the others are left out, and said."""
    found: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    try:
        installed("wrk")
    except ServerError as missing:
        left_out["wrk"] = f"{missing}: limits are those of our own closed loop"
    with ExitStack() as running, TemporaryDirectory(prefix="ladder-") as folder:
        base = Base(running, Path(folder))
        for rung in rungs():
            if rung.name not in only if only else rung.name in plan.skipped:
                continue
            print(f"{rung.name}: {rung.note}", flush=True)
            try:
                found.append(climb(rung, base, plan, seed))
            except ServerError as error:
                left_out[rung.name] = str(error)
                print(f"  left out: {error}", flush=True)
    return {
        "behaviour": asdict(Behaviour(rate_s=plan.rate_s, seed=seed)),
        "rungs": found,
        "left_out": left_out,
    }


def failures(result: dict[str, Any]) -> list[str]:
    """Return the rungs that gave a wrong answer, or failed at a rate that each should bear.

    At the limit some requests may be refused: that is no goodput, and is counted.
    """
    found = []
    for rung in result["rungs"]:
        seen, most = rung["open"], rung["limit"]
        if seen["wrong"] or seen["failed"] > MAY_FAIL * seen["requests"]:
            found.append(f"{rung['name']}: {seen['failed']} failed, {seen['wrong']} of them wrong")
        elif most["failed"] >= most["requests"]:
            found.append(f"{rung['name']}: nothing but failures at the limit")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.ladder", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in under three minutes")
    parser.add_argument("--rate", type=float, help="requests/s that every rung is offered")
    parser.add_argument("--only", nargs="*", default=(), metavar="RUNG")
    parser.add_argument("--seed", type=int, default=Behaviour.seed)
    parser.add_argument("--folder", type=Path, help="of the results; bench/results, with a part")
    asked = parser.parse_args(arguments)
    plan = QUICK if asked.quick else FULL
    plan = plan._replace(rate_s=asked.rate or plan.rate_s)
    is_part = asked.quick or asked.only
    folder = asked.folder or (RESULTS / "part" if is_part else RESULTS)
    logging.basicConfig(level=logging.WARNING, format="bench: %(message)s")
    server.allow_connections()
    began_s = time.monotonic()
    with interruptible():
        result = run(plan, asked.only, asked.seed)
        result |= {
            "kind": "quick" if asked.quick else "full",
            "made": time.strftime("%Y-%m-%d"),
            "taken_s": round(time.monotonic() - began_s),
            "plan": plan._asdict(),
            "machine": machine(),
            "versions": versions(),
        }
        write_report(result, folder)
        print(f"\n{table(result)}\n\n{folder / 'report.html'}, {result['taken_s']} s")
        if failed := failures(result):
            print("FAILED: " + "; ".join(failed))
        return 1 if failed else 0
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main())
