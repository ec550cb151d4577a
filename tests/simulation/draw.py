"""Draws a schedule from its seed.

Each schedule gets a few kinds of faults and none of the others, because a schedule with all of
them at once seldom gets far enough to meet a rare one.
"""

import random
from dataclasses import replace

from tests.simulation.fates import Trouble
from tests.simulation.network import Weather
from tests.simulation.plan import GENRES, Act, Fault, Plan
from tests.simulation.recipes import cook

LENGTHS_S = {
    "silence": (0.02, 2.5),
    "pause": (0.01, 1.0),
    "hang": (0.05, 0.9),
    "away": (0.1, 2.0),
    "mute store": (0.1, 2.5),
    "slow request": (0.01, 0.9),
    "slow answer": (0.01, 0.9),
    "fate": (0.0, 0.0),
    "crash": (0.05, 1.0),
    "stop": (0.05, 1.0),
    "step": (0.0, 0.0),
    "cut": (0.0, 0.0),
    "evict": (0.0, 0.0),
    "restart": (0.0, 0.3),
    "failover": (0.0, 0.3),
    "new replica": (0.0, 0.0),
    "flush scripts": (0.0, 0.0),
    "flush": (0.0, 0.0),
    "full": (0.05, 0.8),
}
"""Every kind of fault but the partition, and how long it lasts."""
UNFENCE = ("evict", "evict", "flush", "failover", "restart", "new replica")
HINDER = ("silence", "pause", "slow request", "slow answer", "cut", "hang")
BREAK = ("fate", "fate", "mute store", "away", "stop", "crash")
REST = ("step", "full", "flush scripts")
"""Kinds that belong together: it takes a lost fence and a delay, or a delay and an end."""
SCRIPTS = ("LEASE", "FILL", "INTEND", "SETTLE")
STATEMENTS = ("READ", "FIND", "LWT", "LINE")
SEVERAL_SHARE, SEVERAL_SALT = 0.1, 7
"""The salt leaves the schedules as they are that find mutants (``killed.json``)."""
EVENTS = (*SCRIPTS, *STATEMENTS, "LEASE", "INTEND", "READ", "LWT")
"""What a fault may come after: a script in Redis, or a statement in Cassandra."""


def draw_plan(seed: int) -> Plan:
    """The schedule of a seed."""
    draw = random.Random(seed)
    replicas, keys = draw.choice((1, 2, 2, 2, 3)), draw.choice((1, 1, 1, 2))
    span_s = draw.choice((0.05, 0.15, 0.4, 0.8))
    clients = draw.randint(2, 4)
    acts = draw.randint(8, 20) // clients + 1
    plan = Plan(
        seed,
        [_acts(draw, acts, replicas, keys, span_s / acts) for _ in range(clients)],
        offsets_s=tuple(draw.choice((0.0, 0.0, -2.0, 3.0)) for _ in range(replicas)),
        keys=keys,
        near_ttl_s=draw.choice((0.1, 0.5, 5.0, 5.0)),
        row_ttl_s=draw.choice((0.2, 3_600.0, 3_600.0)),
        stale_s=draw.choice((0.0, 86_400.0)),
        store_deadline_s=draw.choice((0.25, 0.25, 1.0)),
        timers_first=draw.random() < 0.7,
    )
    if draw.random() < 0.85:
        plan.faults = _faults(draw, replicas, span_s)
    if draw.random() < 0.5:
        plan.weather = _weather(draw)
    plan.trouble = _trouble(draw, is_bad=draw.random() < 0.3)
    if draw.random() < 0.5:
        cook(draw, plan)
    plan.redis = draw.choices(("one", "none", "deaf", "sentinel"), (90, 4, 3, 3))[0]
    if plan.redis == "deaf":  # for half a second nothing tells of a new id, as its warning says
        plan.faults = [fault for fault in plan.faults if fault.kind != "new replica"]
    if plan.redis == "sentinel":
        _partition(draw, plan)
    _several(plan)
    return plan


def _several(plan: Plan) -> None:
    """Let the clients of some schedules read several rows at once.

    The drawing is apart, so that all other schedules are what they were before it.
    """
    draw = random.Random(f"{SEVERAL_SALT} {plan.seed}")
    if draw.random() < SEVERAL_SHARE:
        plan.clients = [
            [
                replace(act, kind="several") if act.kind == "read" and draw.random() < 0.6 else act
                for act in acts
            ]
            for acts in plan.clients
        ]


def _partition(draw: random.Random, plan: Plan) -> None:
    """Make it a schedule of a partition, which takes seconds."""
    span_s = 8.0
    acts = 16 // len(plan.clients)
    plan.clients = [
        _acts(draw, acts, plan.replicas, plan.keys, span_s / acts) for _ in plan.clients
    ]
    target, length_s = draw.randrange(plan.replicas), draw.uniform(5.0, 7.0)
    cut = Fault(draw.uniform(0.0, 1.5), "partition", target, length_s, draw.random())
    plan.faults = [cut, *plan.faults[:1]]
    plan.trouble = _trouble(draw, is_bad=False)


def _acts(draw: random.Random, count: int, replicas: int, keys: int, pause_s: float) -> list[Act]:
    writes = draw.choice((0.15, 0.4, 0.7))
    home = draw.randrange(replicas)
    acts = []
    for _ in range(count):
        is_write = draw.random() < writes
        kind = draw.choice(("post", "patch", "patch", "delete", "again")) if is_write else "read"
        if kind == "read" and draw.random() < 0.15:
            kind = "list"
        genres: tuple[str, ...] | None = None
        if kind == "post" or (kind == "patch" and draw.random() < 0.4):
            genres = tuple(sorted(draw.sample(GENRES, draw.randint(1, 2))))
        elif kind == "list":
            genres = (draw.choice(GENRES),)
        replica = home if draw.random() < 0.7 else draw.randrange(replicas)
        wait_s = draw.expovariate(1 / pause_s) if draw.random() < 0.8 else 0.0
        acts.append(Act(wait_s, replica, kind, draw.randrange(keys), genres, draw.random() < 0.3))
    return acts


def _faults(draw: random.Random, replicas: int, span_s: float) -> list[Fault]:
    """Up to five faults; most gather around one event, since it takes two to break a fence."""
    groups = draw.sample((UNFENCE, HINDER, HINDER, BREAK, REST), draw.randint(1, 3))
    kinds = [draw.choice(group) for group in groups]
    anchor = draw.choice(EVENTS), draw.choice((1, 1, 2, 3))
    kinds += draw.choices(kinds, k=draw.randint(0, 2))
    return [_fault(draw, kind, replicas, span_s, anchor) for kind in kinds]


def _fault(
    draw: random.Random, kind: str, replicas: int, span_s: float, anchor: tuple[str, int]
) -> Fault:
    low, high = LENGTHS_S[kind]
    length_s = low + (high - low) * draw.random() ** 2
    target, share = draw.randrange(replicas), draw.random()
    if draw.random() < 0.2:
        return Fault(draw.uniform(0, span_s * 1.2), kind, target, length_s, share)
    after, nth = anchor
    if draw.random() < 0.3:
        after, nth = draw.choice(EVENTS), draw.choice((1, 1, 2, 3))
    at_s = draw.choice((0.0, 0.0, 0.002, 0.02)) * draw.random()
    if draw.random() < 0.6:
        target = -1
    return Fault(at_s, kind, target, length_s, share, after, nth)


def _weather(draw: random.Random) -> Weather:
    return Weather(
        latency_s=draw.choice((0.0002, 0.0005, 0.002, 0.008)),
        spike=draw.choice((0.0, 0.05, 0.2)),
        spike_s=draw.choice((0.01, 0.06, 0.3)),
        split=draw.choice((0.0, 0.5)),
        merge=draw.choice((0.0, 0.0, 0.5)),
    )


def _trouble(draw: random.Random, *, is_bad: bool) -> Trouble:
    trouble = Trouble(latency_s=draw.choice((0.0005, 0.001, 0.005, 0.02)))
    if is_bad:
        trouble.spike = draw.choice((0.0, 0.1))
        trouble.spike_s = draw.choice((0.05, 0.4, 1.5))
        fates = ("lost", "mute", "frozen", "doubt", "refused")
        for kind in draw.sample(fates, draw.randint(1, 2)):
            setattr(trouble, kind, draw.choice((0.05, 0.2)))
    return trouble
