"""One run of the ladder: every rung is stood on in turn, and that several times over."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.drills.world import reading
from bench.lab.spawn import ServerError
from bench.lab.targets import installed
from bench.ladder.measure import Step, beside, climb, limit, open_loop
from bench.ladder.rungs import BUYS, Base, Rung, Standing
from bench.load.__main__ import Load
from bench.load.activity import Behaviour
from bench.load.loops import ClosedLoop

WRITES = 0.4  # of the requests that warm the JVM
FILLERS = 16  # requests at a time
WARM_S = 1  # before the limit is measured


class Plan(NamedTuple):
    """Seconds and rates of a run. ``jvm_s`` warms the JVM, which reads at half its cost after some
    60,000 reads. ``skipped`` rungs tell nothing that others do not."""

    steps: tuple[Step, ...]
    warm_s: float
    limit_s: int
    runs: int
    jvm_s: int
    skipped: tuple[str, ...] = ()


class Measured(NamedTuple):
    """The figures of a rung: a step for each rate that it was offered, a limit for each run."""

    steps: list[dict[str, Any]]
    limits: list[dict[str, Any]]

    def summary(self, rung: Rung, before: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the run in the middle with the spread of all, and the factor to ``before``."""
        runs = sorted(self.limits, key=lambda seen: float(seen["goodput_s"]))
        least, middle, most = runs[0], runs[len(runs) // 2], runs[-1]
        of_all = {"runs": len(runs), "least_s": least["goodput_s"], "most_s": most["goodput_s"]}
        base_s = before["limit"]["goodput_s"] if before else 0.0
        held = (step["rate_s"] for step in self.steps if step["holds"])
        return {
            "name": rung.name,
            "buys": BUYS[rung.name],
            "figure": rung.figure,
            "against": rung.against,
            "factor": middle["goodput_s"] / base_s if base_s else None,
            "held_s": max(held, default=0.0),
            "steps": self.steps,
            "limit": {**middle, **of_all},
        }


def run(plan: Plan, chosen: Sequence[Rung]) -> dict[str, Any]:
    """Measure every rung that this machine can stand on; the others are left out, and said."""
    measured: dict[str, Measured] = {}
    left_out: list[dict[str, str]] = []
    try:
        installed("wrk")
    except ServerError as missing:
        why = f"{missing}: limits are those of our own closed loop"
        left_out.append({"name": "wrk", "figure": "", "why": why})
    standing = list(chosen)
    with ExitStack() as running, TemporaryDirectory(prefix="ladder-") as folder:
        base = Base(running, Path(folder))
        for number in range(plan.runs):
            for rung in standing.copy():
                print(f"{number + 1} of {plan.runs}, {rung.name}", flush=True)
                try:
                    stand(rung, base, plan, measured)
                except ServerError as error:
                    standing.remove(rung)
                    left_out.append({"name": rung.name, "figure": rung.figure, "why": str(error)})
                    print(f"  left out: {error}", flush=True)
    found: dict[str, dict[str, Any]] = {}
    for rung in standing:
        found[rung.name] = measured[rung.name].summary(rung, found.get(rung.against))
    return {"rungs": list(found.values()), "left_out": left_out}


def stand(rung: Rung, base: Base, plan: Plan, measured: dict[str, Measured]) -> None:
    """Measure one rung, from its start to its end: its limit, and once the rates below it."""
    with ExitStack() as running:
        stands = rung.build(base, running)
        ids = base.ids(stands)
        requests = base.requests(ids)
        _warm(rung, base, stands, plan)
        limit(stands, requests, ids, WARM_S)
        seen = beside(partial(limit, stands, requests, ids, plan.limit_s))
        print(f"  {seen['goodput_s']:,.0f} requests/s at the limit, by {seen['by']}", flush=True)
        if rung.name not in measured:  # after the limit, because a rate too high leaves work behind
            behaviour = Behaviour(write_share=Behaviour.write_share if rung.writes else 0.0)
            steps = climb(stands, ids, behaviour, plan.warm_s, plan.steps)
            measured[rung.name] = Measured(steps, [])
        measured[rung.name].limits.append(seen)


def _warm(rung: Rung, base: Base, stands: Standing, plan: Plan) -> None:
    """Let the JVM read and write as often as in an hour, once; fill the caches that are empty."""
    ids, is_peer = base.ids(stands), rung.figure == "peers"
    if "cassandra" in stands.roles and not base.is_warm:
        print(f"  twice {plan.jvm_s} s for the JVM to get warm", flush=True)
        limit(stands, base.requests(ids), ids, plan.jvm_s)
        open_loop(stands, ids, Load(Behaviour(write_share=WRITES), 0, plan.jvm_s))
        base.is_warm = True
    if is_peer or ("redis" in stands.roles and not base.is_full):
        rows = map(reading, ids.read_text().split())
        ClosedLoop(stands.entry.host, stands.entry.port, rows, inf, FILLERS).to_end()
        base.is_full |= not is_peer
