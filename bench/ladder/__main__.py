"""`make bench`: what every layer buys, measured on this machine.

The figures go to ladder.json, report.html and ladder.svg; those of a whole run into
docs/benchmarks.md, too. Status 1: a bar of `bench/ladder/bars.py` is missed.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import server
from bench.lab.processes import interruptible
from bench.ladder.bars import judged
from bench.ladder.measure import BAR_MS, machine, versions
from bench.ladder.run import Plan, run
from bench.ladder.rungs import RUNGS
from bench.load.__main__ import DEADLINE_S
from bench.load.activity import Behaviour
from bench.report import RESULTS, rendered, write_report

STEPS = ((1_000, 10.4), (2_000, 5.2), *((rate, 3.0) for rate in (4_000, 8_000, 14_000, 20_000)))
FULL = Plan(STEPS, warm_s=3, limit_s=3, runs=3, jvm_s=25)
SKIPPED = ("1 replica", "2 replicas", "3 replicas", "nginx")
QUICK = Plan(((2_000, 5.2),), warm_s=1, limit_s=2, runs=1, jvm_s=6, skipped=SKIPPED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.ladder", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in under three minutes")
    names = [rung.name for rung in RUNGS]
    parser.add_argument("--only", nargs="+", choices=names, default=(), metavar="RUNG")
    parser.add_argument("--folder", type=Path, help="of the results; bench/results, with a part")
    asked = parser.parse_args(arguments)
    plan = QUICK if asked.quick else FULL
    folder = asked.folder or (RESULTS / "part" if asked.quick or asked.only else RESULTS)
    only = asked.only or set(names) - set(plan.skipped)
    chosen = [rung for rung in RUNGS if rung.name in only]
    logging.basicConfig(level=logging.WARNING, format="bench: %(message)s")
    server.allow_connections()
    began_s = time.monotonic()
    with interruptible():
        result = run(plan, chosen)
        result |= {
            "bars": judged(result["rungs"]),
            "kind": "quick" if asked.quick else "full",
            "made": time.strftime("%Y-%m-%d"),
            "taken_s": round(time.monotonic() - began_s),
            "plan": plan._asdict(),
            "machine": machine(),
            "versions": versions(),
            "behaviour": {k: v for k, v in asdict(Behaviour()).items() if k != "rate_s"},
            "bar_ms": BAR_MS,
            "deadline_ms": 1000 * DEADLINE_S,
        }
        write_report(result, folder)
        print(f"\n{rendered('tables.md', result)}\n{folder / 'report.html'}, {result['taken_s']} s")
        return int(any(bar["met"] is False for bar in result["bars"]))
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main())
