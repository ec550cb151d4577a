"""``python -m tests.simulation``: a schedule again by its ``--seed``, or many of them.

`--seed N` prints the schedule as numbered steps. `--schedules COUNT --first N` runs as many from
seed N on, with a line of progress. The status is 1 when the promise was broken.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

import orjson

HASH_SEED = "0"  # the order of a set of texts is part of a schedule


def replay(seed: int, *, is_shrunk: bool) -> int:
    """Run one schedule, or the smallest that fails as it does, and print its steps."""
    from tests.simulation.draw import draw_plan
    from tests.simulation.patched import Patched
    from tests.simulation.runner import quiet
    from tests.simulation.shrink import shrunk
    from tests.simulation.trace import lines_of

    quiet()
    plan = draw_plan(seed)
    with Patched() as patched:
        outcome = patched.run(plan, is_traced=True)
        if is_shrunk and outcome.violations:
            plan, seed = shrunk(patched, plan, outcome.violations[0][0])
            outcome = patched.run(plan, seed=seed, is_traced=True)
    print("\n".join(lines_of(plan, outcome)))
    return 1 if outcome.violations else 0


def many(first: int, count: int, workers: int, *, is_reported: bool) -> int:
    """Run ``count`` schedules and print what they have shown."""
    from tests.simulation import report
    from tests.simulation.runner import Summary, run_many

    began = time.perf_counter()

    def progress(summary: Summary, seconds: float) -> bool:
        print(f"\r{report.progress_line(summary, count, seconds)}", end="", flush=True)
        return True

    seeds = range(first, first + count)
    summary = run_many(seeds, workers, progress)
    seconds = time.perf_counter() - began
    print()
    print("\n".join(report.summary_lines(summary, seeds)))
    if is_reported:
        report.write("run", report.page_lines(summary, seeds, seconds, workers))
    return 1 if summary.failures else 0


def mutants(count: int, workers: int, *, is_reported: bool) -> int:
    """Run every mutant until it is found out, and print the table."""
    from tests.simulation import report
    from tests.simulation.killing import SEEDS, Killed, kill_all, table_of

    def progress(killed: Killed) -> None:
        print(f"{killed.mutant.name}: {killed.seed} of {killed.tried}, {killed.kind}")

    killed = kill_all(count, workers, progress)
    if is_reported:
        report.write("mutants", table_of(killed))
        seeds = {each.mutant.name: each.seed for each in killed if each.seed is not None}
        SEEDS.write_bytes(orjson.dumps(seeds, option=orjson.OPT_INDENT_2) + b"\n")
    return 1 if any(each.seed is None for each in killed) else 0


def mutate(name: str) -> None:
    """Break one of the product's rules, before its modules are imported."""
    from tests.simulation import mutation
    from tests.simulation.mutants import MUTANTS

    named = {mutant.name: mutant for mutant in MUTANTS}
    if name not in named:
        sys.exit(f"no mutant has this name; the names are: {', '.join(named)}")
    mutation.apply(named[name])


def kill(seeds: range) -> int:
    """Run until the promise is broken; print by which seed, and how."""
    from tests.simulation.runner import first_failure

    found = first_failure(seeds)
    print(orjson.dumps(found).decode())
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this schedule and print its steps")
    parser.add_argument("--shrink", action="store_true", help="with --seed: make it small first")
    parser.add_argument("--schedules", type=int, default=2_000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of their seeds")
    parser.add_argument("--mutant", help="run this mutant until it breaks the promise")
    parser.add_argument("--mutants", action="store_true", help="run all of them so")
    parser.add_argument("--report", action="store_true", help="write docs/consistency.md, too")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    if options.mutant is not None:
        mutate(options.mutant)
        if options.seed is None:
            return kill(range(options.first, options.first + options.schedules))
    if options.seed is not None:
        return replay(options.seed, is_shrunk=options.shrink)
    if options.mutants:
        return mutants(options.schedules, options.workers, is_reported=options.report)
    return many(options.first, options.schedules, options.workers, is_reported=options.report)


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != HASH_SEED:
        os.environ["PYTHONHASHSEED"] = HASH_SEED
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # what the schedules left behind is not worth taking apart
