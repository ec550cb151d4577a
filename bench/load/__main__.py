"""One generator process of the activity: asks, counts, and says what it saw in lines of JSON.

    python -m bench.load HOST PORT IDS --rate 400 --seconds 10 [--warm 2] [--seed 1]

IDS is a file of ids. A line a second while it goes on, ``{"now": ...}``, and at the end
``{"seen": ...}``, which counts what was due after the warm-up. It is a process of its own so that
nothing else holds it up, and so that two can offer what one cannot; ``bench.ladder`` starts it.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.load.activity import Activity, Behaviour
from bench.load.loops import Result, offered
from bench.load.result import Tally

DEADLINE_S = 0.2
"""An answer later than this is no goodput: the original's goal."""
LATE_SHARE = 0.01
"""With more requests than this that left 10 ms late, the generator was the limit."""
READS = frozenset(("hover", "click"))


def seen(result: Result, since_s: float, seconds: float) -> dict[str, Any]:
    """All of it as JSON has it. ``layers`` are those of rows; latencies are HDR histograms, which
    can be added up."""
    tally, layers, kinds = Tally(), Counter[str](), Counter[str]()
    timeline = [Tally() for _ in range(max(1, round(seconds)))]
    for line in result.lines(None, since_s, since_s + seconds):
        tally.add(line, DEADLINE_S)
        second = min(int(line.due_s - since_s), len(timeline) - 1)
        timeline[second].add(line, DEADLINE_S)
        kinds[line.outcome.kind] += 1
        if line.outcome.kind in READS and line.outcome.is_good:
            layers[line.outcome.detail or "none"] += 1
    return {
        "requests": tally.total,
        "good": tally.good,
        "failed": tally.failed,
        "wrong": tally.wrong,
        "late": tally.late,
        "worst_slip_s": round(tally.worst_slip_s, 4),
        "statuses": {str(status): times for status, times in tally.statuses.items()},
        "errors": dict(tally.errors),
        "layers": dict(layers),
        "kinds": dict(kinds),
        "latency_us": tally.latency_us.encode().decode(),
        "timeline_us": [each.latency_us.encode().decode() for each in timeline],
    }


def tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def run(host: str, port: int, activity: Activity, warm_s: float, seconds: float) -> None:
    whole_s = warm_s + seconds
    # drawn before it begins: to draw costs a third of what it costs to ask
    requests = list(activity.schedule(whole_s))
    due = Counter(int(due_s) for due_s, _ in requests)
    gc.collect()
    gc.freeze()
    gc.disable()  # what is made here lives to the end, and to look through it all takes too long
    began_cpu_s = time.process_time()
    with offered(host, port, requests) as result:
        at, end_s = 0, result.began_s + whole_s
        for second in itertools.count():
            until_s = min(result.began_s + second + 1, end_s)
            time.sleep(max(0.0, until_s - time.monotonic()))
            now = result.recent(at)
            at += now.total
            tell(
                now=second + 1,
                offered=due[second],
                achieved=now.total,
                p50_ms=round(now.p50_s * 1000, 2),
                p99_ms=round(now.p99_s * 1000, 2),
                errors=dict(now.errors),
                layers={name: times for name, times in now.details.items() if name},
            )
            if until_s >= end_s:
                break
    cpu_s = time.process_time() - began_cpu_s
    tell(seen={**seen(result, result.began_s + warm_s, seconds), "generator_cpu_s": cpu_s})


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("ids", type=Path)
    parser.add_argument("--rate", type=float, default=Behaviour.rate_s)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=Behaviour.seed)
    parser.add_argument("--part", type=int, default=0, help="of several processes")
    parser.add_argument("--writes", type=float, default=Behaviour.write_share)
    parser.add_argument("--zipf", type=float, default=Behaviour.zipf)
    asked = parser.parse_args(arguments)
    behaviour = Behaviour(
        rate_s=asked.rate, seed=asked.seed, write_share=asked.writes, zipf=asked.zipf
    )
    activity = Activity(asked.ids.read_text().split(), behaviour, asked.part)
    run(asked.host, asked.port, activity, asked.warm, asked.seconds)


if __name__ == "__main__":
    main()
