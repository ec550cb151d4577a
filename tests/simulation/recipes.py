"""Schedules that are drawn around one danger, because blind chance seldom meets it.

Each recipe is a writer, readers beside it, and faults that follow a step of the protocol.
"""

import random

from tests.simulation.fates import Trouble
from tests.simulation.network import Weather
from tests.simulation.plan import GENRES, Act, Fault, Plan

CAUSE = -1
"""The replica that caused the event which a fault follows."""
FROZEN = 0.45
"""The share by which a "fate" is to be frozen."""


def lost_fence(draw: random.Random, nth: int) -> list[Fault]:
    """Redis loses the intent while the write is slow, and cannot be reached at its end."""
    kind = draw.choice(("evict", "evict", "flush", "failover", "restart", "new replica"))
    faults = [
        Fault(0.0, kind, CAUSE, 0.0, draw.random(), "INTEND", nth),
        Fault(0.0, "slow request", CAUSE, draw.uniform(0.02, 0.2), 0.0, "INTEND", nth),
    ]
    if draw.random() < 0.5:
        length_s = draw.uniform(0.2, 2.5)
        faults.append(
            Fault(0.0, "silence", CAUSE, length_s, 0.0, draw.choice(("LWT", "LINE")), nth)
        )
    if draw.random() < 0.3:
        faults.append(Fault(0.0, "slow answer", CAUSE, draw.uniform(0.02, 0.3), 0.0, "READ", nth))
    return faults


def late_fill(draw: random.Random, nth: int) -> list[Fault]:
    """A reader has the old row in its hands while a write passes by."""
    kind = draw.choice(("slow answer", "pause", "silence"))
    after = "LEASE" if kind == "slow answer" else "READ"
    faults = [
        Fault(0.0, kind, CAUSE, draw.uniform(0.02, 0.4), 0.0, after, draw.randint(1, 4))
        for _ in range(draw.randint(1, 2))
    ]
    if draw.random() < 0.4:
        faults.append(Fault(0.0, "evict", CAUSE, 0.0, draw.random() * 0.6, "INTEND", nth))
    return faults


def unknown_outcome(draw: random.Random, nth: int) -> list[Fault]:
    """The transaction's answer is lost, or it is frozen, and perhaps its writer ends."""
    share = draw.choice((0.05, 0.25, 0.45, 0.45, 0.65))
    faults = [Fault(0.0, "fate", CAUSE, 0.0, share, "FIND", nth)]
    if draw.random() < 0.5:
        faults.append(Fault(0.0, "mute store", CAUSE, draw.uniform(0.1, 1.5), 0.0, "FIND", nth))
    if draw.random() < 0.3:
        kind, at_s = draw.choice(("stop", "crash")), draw.uniform(0.0, 0.5)
        faults.append(Fault(at_s, kind, CAUSE, 0.05, draw.random(), "FIND", nth))
    return faults


def end_of_writer(draw: random.Random, nth: int) -> list[Fault]:
    """The writer's process ends while its transaction is on the way."""
    kind, after = draw.choice(("stop", "stop", "crash")), draw.choice(("INTEND", "FIND"))
    return [
        Fault(0.0, "slow request", CAUSE, draw.uniform(0.05, 4.5), 0.0, after, nth),
        Fault(draw.uniform(0.0, 0.02), kind, CAUSE, 0.05, draw.random(), after, nth),
    ]


def lost_push(draw: random.Random, nth: int) -> list[Fault]:
    """A connection is cut, or Redis forgets its keys, while rows are near."""
    kind = draw.choice(("cut", "cut", "flush", "failover", "new replica"))
    after = draw.choice(("INTEND", "SETTLE", "FILL"))
    return [
        Fault(draw.uniform(0.0, 0.01), kind, draw.choice((0, 1)), 0.0, draw.random(), after, nth)
    ]


def new_reign(draw: random.Random, nth: int) -> list[Fault]:
    """The replication id changes, and one replica learns of it before the other."""
    after, first = draw.choice(("FILL", "SETTLE", "READ")), draw.choice((0, 1))
    cut = Fault(draw.uniform(0.0, 0.02), "cut", first, 0.0, draw.uniform(0.2, 1.0), after, nth)
    return [Fault(0.0, "new replica", first, 0.0, 0.0, after, nth), cut]


def overtaken(draw: random.Random, nth: int) -> list[Fault]:
    """A writer is held up after it has looked at the row, and another one passes by."""
    length_s = draw.uniform(0.03, 0.3)
    return [Fault(0.0, "pause", CAUSE, length_s, 0.0, "LOOK", draw.randint(1, 5)) for _ in range(2)]


def stopped_unknown(draw: random.Random, nth: int) -> list[Fault]:
    """The store is away for longer than a stop waits, and a frozen transaction is done later."""
    away_s, stop_s = draw.uniform(3.2, 4.0), draw.uniform(0.0, 0.4)
    return [
        Fault(0.0, "fate", CAUSE, 0.0, FROZEN, "FIND", nth),
        Fault(0.01, "mute store", CAUSE, away_s, 0.0, "FIND", nth),
        Fault(stop_s, "stop", CAUSE, 0.05, 0.0, "FIND", nth),
    ]


def stopped_late(draw: random.Random, nth: int) -> list[Fault]:
    """A deletion in a slow store is frozen, and its writer stops."""
    return [
        Fault(draw.uniform(0.0, 0.3), "stop", CAUSE, 0.05, 0.0, "INTEND", 2),
        Fault(0.0, "fate", CAUSE, 0.0, FROZEN, "LINE", 2),
        Fault(0.95, "mute store", CAUSE, draw.uniform(0.5, 0.9), 0.0, "LINE", 2),
    ]


def same_breath(draw: random.Random, nth: int) -> list[Fault]:
    """A value and its invalidation are read together."""
    return [Fault(0.0, "pause", draw.choice((0, 1)), 0.02, 0.0, "INTEND", nth)]


RECIPES = (
    *(lost_fence, lost_fence, late_fill, late_fill, unknown_outcome, end_of_writer),
    *(lost_push, lost_push, new_reign, overtaken, overtaken, stopped_unknown, stopped_late),
    same_breath,
)


def cook(draw: random.Random, plan: Plan) -> None:
    """Make ``plan`` a schedule of one recipe: a writer at one replica, readers at all."""
    recipe, keys = draw.choice(RECIPES), plan.keys
    if recipe in (overtaken, stopped_unknown, stopped_late, new_reign, same_breath):
        plan.keys = keys = 1
        plan.offsets_s = (0.0, 0.0)
    at = draw.randrange(plan.replicas)
    plan.clients = [_writer(draw, at, keys)]
    plan.clients += [_reader(draw, plan.replicas, keys) for _ in range(draw.randint(1, 3))]
    if draw.random() < 0.3:
        plan.clients.append(_writer(draw, draw.randrange(plan.replicas), keys))
    plan.faults = recipe(draw, draw.choice((1, 2, 2, 3)))
    plan.trouble = Trouble(latency_s=draw.choice((0.001, 0.005, 0.02)))
    if recipe is overtaken:
        _crowd(draw, plan)
    elif recipe is same_breath:
        plan.weather = Weather(latency_s=draw.choice((0.002, 0.008)), merge=0.9)
    elif recipe in (stopped_unknown, stopped_late):
        _long(draw, plan, at, is_late=recipe is stopped_late)


def _crowd(draw: random.Random, plan: Plan) -> None:
    """Writers of genres at both replicas, and readers of lists."""
    plan.clients = [_writer(draw, at, 1, genres=1.0) for at in (0, 1, draw.choice((0, 1)))]
    plan.clients += [_reader(draw, 2, 1, lists=0.7) for _ in range(2)]


def _long(draw: random.Random, plan: Plan, at: int, *, is_late: bool) -> None:
    """A schedule of some seconds: one write, and readers elsewhere all the time."""
    kind, other = "delete" if is_late else draw.choice(("patch", "delete")), 1 - at
    plan.clients = [[Act(0.0, at, "post", 0, ("Drama",)), Act(0.05, at, kind)]]
    plan.clients.append([Act(draw.uniform(0.05, 0.2), other, "read") for _ in range(40)])
    latency_s = draw.uniform(0.2, 0.3) if is_late else 0.002
    plan.trouble = Trouble(latency_s=latency_s, frozen_s=3.0 if is_late else 5.0)
    plan.store_deadline_s = 1.0


def _writer(draw: random.Random, replica: int, keys: int, genres: float = 0.5) -> list[Act]:
    acts = [Act(0.0, replica, "post", 0, ("Drama",))]
    for _ in range(draw.randint(2, 4)):
        kind = draw.choice(("patch", "patch", "patch", "delete", "again"))
        named: tuple[str, ...] | None = None
        if kind == "patch" and draw.random() < genres:
            named = tuple(sorted(draw.sample(GENRES, draw.randint(1, 2))))
        acts.append(Act(draw.uniform(0.0, 0.06), replica, kind, draw.randrange(keys), named))
    return acts


def _reader(draw: random.Random, replicas: int, keys: int, lists: float = 0.25) -> list[Act]:
    replica, pause_s = draw.randrange(replicas), draw.choice((0.003, 0.01, 0.03, 0.2))
    acts = []
    for _ in range(draw.randint(4, 10)):
        genre = (draw.choice(GENRES),) if draw.random() < lists else None
        kind = "list" if genre else "read"
        wait_s = draw.expovariate(1 / pause_s)
        acts.append(Act(wait_s, replica, kind, draw.randrange(keys), genre))
    return acts
