"""One generator process of the activity: it asks, counts, and prints a line of JSON.

    python -m bench.load HOST PORT IDS --rate 400 --seconds 10 [--warm 2] [--seed 1]

IDS is a file of ids. A line a second says how many were answered, and the last line is JSON, which
counts what was due after the warm-up. It is a process of its own so that nothing else holds it up,
and so that two can offer what one cannot, as in ``bench.ladder``.
"""

import argparse
import gc
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.load.activity import Activity, Behaviour
from bench.load.loops import offered
from bench.load.result import Result, Tally
from bench.load.wire import Request

DEADLINE_S = 0.2
"""An answer later than this is no goodput: the original's goal."""
LATE_SHARE = 0.01
"""With more requests than this that left 10 ms late, the generator was the limit."""
READS = frozenset(("hover", "click"))


def summed(result: Result, since_s: float, seconds: float) -> dict[str, Any]:
    """Return the sum of the requests due within ``seconds``, for JSON.

    ``layers`` counts the right answers for rows by the layer that had the row. The latencies are an
    HDR histogram, which can be added to others.
    """
    tally, layers = Tally(), Counter[str]()
    for line in result.lines(None, since_s, since_s + seconds):
        tally.add(line, DEADLINE_S)
        if line.kind in READS and line.is_good:
            layers[line.detail or "none"] += 1
    return {
        "requests": tally.total,
        "good": tally.good,
        "failed": tally.failed,
        "wrong": tally.wrong,
        "late": tally.late,
        "worst_slip_s": round(tally.worst_slip_s, 4),
        "errors": dict(tally.errors),
        "layers": dict(layers),
        "latency_us": tally.latency_us.encode().decode(),
    }


@cache
def drawn(
    ids: Path, behaviour: Behaviour, part: int, seconds: float
) -> list[tuple[float, Request]]:
    """Return the whole schedule, because to draw takes as long as to ask; the next rung's, too."""
    return list(Activity(ids.read_text().split(), behaviour, part).schedule(seconds))


def run(
    host: str,
    port: int,
    ids: Path,
    behaviour: Behaviour,
    *,
    warm_s: float,
    seconds: float,
    part: int = 0,
) -> dict[str, Any]:
    """Offer the activity for ``warm_s`` and then ``seconds``, and return the result."""
    whole_s = warm_s + seconds
    requests = drawn(ids, behaviour, part, whole_s)
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
    return {**summed(result, result.began_s + warm_s, seconds), "generator_cpu_s": cpu_s}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("ids", type=Path)
    parser.add_argument("--rate", type=float, default=Behaviour.rate_s)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=Behaviour.seed)
    parser.add_argument("--writes", type=float, default=Behaviour.write_share)
    parser.add_argument("--zipf", type=float, default=Behaviour.zipf)
    asked = parser.parse_args(arguments)
    behaviour = Behaviour(
        rate_s=asked.rate, seed=asked.seed, write_share=asked.writes, zipf=asked.zipf
    )
    seen = run(
        *(asked.host, asked.port, asked.ids, behaviour), warm_s=asked.warm, seconds=asked.seconds
    )
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
