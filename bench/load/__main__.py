"""One generator process of the activity: it asks, counts, and prints a line of JSON.

IDS is a file of ids. Print the number of answers each second. The JSON counts the requests that
were due after the warm-up.
"""

import argparse
import gc
import json
import math
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from bench.load.activity import Activity, Behaviour
from bench.load.loops import offered
from bench.load.result import Result, Tally
from bench.load.wire import Request

DEADLINE_S = 0.2  # an answer later than this is no goodput: the original's goal
LATE_SHARE = 0.01  # with more requests than this that left 10 ms late, the generator was the limit
READS = frozenset(("hover", "click"))
CACHES = ("near", "redis", "nginx-HIT")
PERCENTS = (50, 90, 99, 99.9)
BEYOND = 100  # a percentile is told where at least so many samples lie beyond it


class Load(NamedTuple):
    """The activity that is offered for ``seconds`` after ``warm_s``."""

    behaviour: Behaviour
    warm_s: float
    seconds: float


class Seen(NamedTuple):
    """All requests of a generator, the reads of rows among them, and the generator's CPU."""

    whole: Tally
    reads: Tally
    cpu_s: float


def seen_of(result: Result, since_s: float, seconds: float, cpu_s: float = 0.0) -> Seen:
    """Return the sum of the requests that were due within ``seconds``."""
    seen = Seen(Tally(), Tally(), cpu_s)
    for line in result.lines(None, since_s, since_s + seconds):
        seen.whole.add(line, DEADLINE_S)
        if line.kind in READS:
            seen.reads.add(line)
    return seen


def figures(parts: Sequence[Seen], seconds: float) -> dict[str, Any]:
    """Return the sum of several generators for JSON, with ``layers`` as shares of right reads."""
    whole, reads = Tally(), Tally()
    for part in parts:
        whole.join(part.whole)
        reads.join(part.reads)
    rows = reads.details.total() or 1
    return {
        "requests": whole.total,
        "good": whole.good,
        "failed": whole.failed,
        "wrong": whole.wrong,
        "late": whole.late,
        "goodput_s": whole.good / seconds,
        "worst_slip_ms": whole.worst_slip_s * 1000,
        "generator_was_the_limit": whole.late > LATE_SHARE * whole.total,
        "errors": dict(whole.errors),
        "layers": {name or "none": times / rows for name, times in reads.details.most_common()},
        "cached": sum(reads.details[name] for name in CACHES) / rows,
        "latency_ms": {
            str(each): round(whole.percentile_s(each) * 1000, 3)
            for each in PERCENTS
            if round(len(whole.latencies_s) * (100 - each)) >= 100 * BEYOND
        },
    }


@cache
def drawn(ids: Path, load: Load, part: int) -> list[tuple[float, Request]]:
    """Return the whole schedule, because to draw takes as long as to ask; the next rung's, too."""
    activity = Activity(ids.read_text().split(), load.behaviour, part)
    return list(activity.schedule(load.warm_s + load.seconds))


def run(host: str, port: int, ids: Path, load: Load, part: int = 0) -> Seen:
    """Offer the activity, and return the result."""
    whole_s = load.warm_s + load.seconds
    requests = drawn(ids, load, part)
    gc.collect()
    gc.freeze()
    gc.disable()  # what is made here lives to the end, and to look through it all takes too long
    began_cpu_s, answered = time.process_time(), 0
    with offered(host, port, requests) as result:
        for second in range(1, math.ceil(whole_s) + 1):
            until_s = result.began_s + min(second, whole_s)
            time.sleep(max(0.0, until_s - time.monotonic()))
            answered, before = len(result), answered
            print(f"    answered {answered - before:,}/s", flush=True)
    cpu_s = time.process_time() - began_cpu_s
    return seen_of(result, result.began_s + load.warm_s, load.seconds, cpu_s)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("ids", type=Path)
    numbers = {"rate": Behaviour.rate_s, "seconds": 10.0, "warm": 2.0, "seed": Behaviour.seed}
    numbers |= {"writes": Behaviour.write_share, "zipf": Behaviour.zipf}
    for name, usual in numbers.items():
        parser.add_argument(f"--{name}", type=type(usual), default=usual)
    asked = parser.parse_args(arguments)
    behaviour = Behaviour(asked.rate, asked.zipf, write_share=asked.writes, seed=asked.seed)
    load = Load(behaviour, asked.warm, asked.seconds)
    seen = run(asked.host, asked.port, asked.ids, load)
    print(json.dumps({**figures([seen], load.seconds), "generator_cpu_s": seen.cpu_s}))


if __name__ == "__main__":
    main()
