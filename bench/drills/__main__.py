"""`make drills`: failures on purpose, on real servers, under load, and what has to hold.

Each drill prints rows: what was broken, what had to hold, what was seen. Status 1: something did
not hold.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack

import server
from bench.drills.world import Drill, Finding, Options, Stand, made
from bench.lab.processes import interruptible
from bench.lab.spawn import ServerError

NAMES = (
    *("redis", "sentinel", "cassandra", "node", "cold", "overload"),
    *("hostile", "held", "balancer", "soak", "restarts"),
)


def drill_of(name: str) -> Drill:
    """Return the drill in the file of that name."""
    drill: Drill = importlib.import_module(f"bench.drills.{name}").run
    return drill


def run(name: str, options: Options, stand: Stand) -> list[Finding]:
    """Run one drill; a drill that cannot go on has failed."""
    with made(name, options, stand) as world:
        try:
            drill_of(name)(world)
        except (ServerError, OSError, AssertionError) as error:
            world.judge("", "the drill comes to its end", f"{type(error).__name__}: {error}", False)
        return world.findings


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.drills", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES)
    )
    parser.add_argument("--short", action="store_true", help="a few seconds each")
    parser.add_argument("--minutes", type=float, default=Options.minutes, help="of the soak")
    parser.add_argument("--restarts", type=int, default=Options.restarts)
    parser.add_argument(
        "--drain", type=float, default=Options.drain_s, help="their DRAIN_S, seconds"
    )
    asked = parser.parse_args(arguments)
    options = Options(asked.short, asked.minutes, asked.restarts, asked.drain)
    logging.basicConfig(level=logging.WARNING, format="drills: %(message)s")
    server.allow_connections()
    findings: list[Finding] = []
    with interruptible(), ExitStack() as running:
        stand = Stand(running)
        for name in asked.names or NAMES:
            findings += run(name, options, stand)
        failed = [finding for finding in findings if finding.holds is False]
        print(f"\n{len(findings)} rows, {len(failed)} failed")
        return 1 if failed else 0
    return 1  # interrupted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
