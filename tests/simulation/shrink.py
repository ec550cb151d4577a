"""Makes a failing schedule smaller: fewer clients, faults, operations and troubles.

A part is left out for good if the schedule without it still breaks the promise in the same way.
Leaving out a part changes which random numbers the others get, so each candidate is run with a few
seeds of the world.
"""

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.fates import Trouble
from tests.simulation.network import Weather
from tests.simulation.patched import Patched
from tests.simulation.plan import Plan

WORLDS = 6
"""With how many seeds of the world a smaller schedule is tried."""


def fails(patched: Patched, plan: Plan, kind: str) -> int | None:
    """The seed of a world in which the plan breaks the promise by ``kind``; None if there is none
    among those tried."""
    seeds: tuple[int, ...] = (plan.seed, *range(1, WORLDS))
    for seed in seeds:
        if any(kind == found for found, _ in patched.run(plan, seed=seed).violations):
            return seed
    return None


def candidates(plan: Plan) -> Iterator[Plan]:
    """Smaller plans, the boldest first."""
    for at in range(len(plan.clients)):
        if len(plan.clients) > 1:
            yield replace(plan, clients=plan.clients[:at] + plan.clients[at + 1 :])
    for at in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:at] + plan.faults[at + 1 :])
    if plan.weather != Weather():
        yield replace(plan, weather=Weather())
    if plan.trouble != Trouble():
        yield replace(plan, trouble=Trouble())
    for at, acts in enumerate(plan.clients):
        for size in (len(acts) // 2, 1):
            for first in range(0, len(acts), size) if size else ():
                left = acts[:first] + acts[first + size :]
                if left:
                    yield replace(plan, clients=[*plan.clients[:at], left, *plan.clients[at + 1 :]])


def shrunk(patched: Patched, plan: Plan, kind: str) -> tuple[Plan, int]:
    """The smallest plan that was found, and the seed of its world."""
    seed = plan.seed
    is_smaller = True
    while is_smaller:
        is_smaller = False
        for smaller in candidates(plan):
            found = fails(patched, smaller, kind)
            if found is not None:
                plan, seed, is_smaller = smaller, found, True
                break
    return plan, seed
