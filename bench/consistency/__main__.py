"""The consistency check: two replicas, real servers, writers and readers, and things that break.

`python -m bench.consistency --seconds 60 --readers 8 --writers 4 --keys 20`: readers check every
answer against the writes that were acknowledged, while faults occur (``chaos.py``). Any breach of
the promise (``judge.py``) makes the status 1. `--faults kill stop` causes these alone; `--calm`
causes none, and so shows how late the near caches are by themselves. `--restart-redis` also
restarts Redis half-way. `--reads 10000000` repeats rounds until so many reads are checked.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from bench.consistency.chaos import FAULTS, Options
from bench.consistency.check import run_on
from bench.lab.processes import interruptible
from bench.lab.servers import CassandraNode, RedisServer


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    logging.basicConfig(level=logging.INFO, format="consistency: %(message)s")
    parser = argparse.ArgumentParser(prog="python -m bench.consistency", description=__doc__)
    for name, kind in (("seconds", float), ("readers", int), ("writers", int), ("keys", int)):
        parser.add_argument(f"--{name}", type=kind, default=getattr(Options, name))
    parser.add_argument("--pause-s", type=float, default=Options.pause_s)
    parser.add_argument("--faults", nargs="*", choices=FAULTS, default=FAULTS)
    parser.add_argument("--calm", dest="faults", action="store_const", const=())
    parser.add_argument("--restart-redis", action="store_true")
    parser.add_argument("--reads", type=int, default=1)
    given = vars(parser.parse_args(arguments))
    reads = given.pop("reads")
    options = Options(**given)
    with interruptible(), CassandraNode() as cassandra, RedisServer() as redis:
        is_right = True
        while reads > 0:
            report = run_on(cassandra, redis, options)
            print("\n".join(report.lines()), flush=True)
            is_right &= not report.verdict.violations
            reads -= report.checked
        return 0 if is_right else 1
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
