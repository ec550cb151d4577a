"""A schedule in words: its settings, its faults, and its steps, numbered."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from tests.simulation.plan import Plan
from tests.simulation.world import Outcome


def lines_of(plan: Plan, outcome: Outcome) -> Iterator[str]:
    """What ``--seed`` prints."""
    acts = sum(map(len, plan.clients))
    yield (
        f"schedule {plan.seed}: {plan.replicas} replicas, {len(plan.clients)} clients, "
        f"{acts} operations on {plan.keys} rows, {len(plan.faults)} faults"
    )
    yield (
        f"  Redis: {plan.redis}; near TTL {plan.near_ttl_s} s, row TTL {plan.row_ttl_s} s, "
        f"stale {plan.stale_s} s, store deadline {plan.store_deadline_s} s"
    )
    yield f"  network: {_told(plan.weather)}; Cassandra: {_told(plan.trouble)}"
    yield f"  wall clocks are off by {', '.join(f'{each:+} s' for each in plan.offsets_s)}"
    for number, step in enumerate(outcome.steps, 1):
        yield f"{number:4d} {step}"
    for kind, detail in outcome.violations:
        yield f"VIOLATION {kind}: {detail}"
    if not outcome.violations:
        yield "the promise holds"


def _told(settings: Any) -> str:
    """The fields that are not zero."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return ", ".join(f"{name} {value}" for name, value in values.items() if value)
