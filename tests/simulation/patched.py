"""The product's modules under simulation: their clocks, random numbers and driver are ours."""

import random
import secrets
import sys
import time
from functools import lru_cache
from typing import Any

import cache.redis.rows
import db.cassandra.lines
import db.cassandra.schema
import db.cassandra.session
import db.cassandra.writes
import db.version
from cache.redis.metrics import RedisMetrics
from metrics import Publisher
from tests.simulation.plan import Plan
from tests.simulation.simulator import SimulatedTime
from tests.simulation.world import Outcome, World

PRODUCT = ("cache.", "db.", "errors.", "priority.")


class Patched:
    """The product's modules under simulation: their clocks, random numbers and driver are ours.

    Metrics and logs are left out, because they are no part of any promise and cost most. Worlds
    are ``kept``, because taking one apart costs more than running it: a process runs some hundred
    schedules and ends.
    """

    def __init__(self) -> None:
        self._time = SimulatedTime()
        self.kept: list[World] = []
        self._before: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> "Patched":

        swaps: dict[int, Any] = {
            id(time): self._time,
            id(random): _Random(self._time),
            id(secrets): _Secrets(self._time),
        }
        for name, module in list(sys.modules.items()):
            if module is None or not (name + ".").startswith(PRODUCT):
                continue
            for attribute, value in list(vars(module).items()):
                if id(value) in swaps:
                    self._set(module, attribute, swaps[id(value)])

        self._set(db.version, "os", _Secrets(self._time))
        self._set(
            db.cassandra.session, "make_cluster", lambda config, datacenter: self.kept[-1].cassandra
        )
        self._set(db.cassandra.lines, "LOOK_AFTER_S", 0.1)  # else every schedule waits for it
        # longer than the simulated nodes are frozen; else many a schedule takes half a minute
        self._set(db.cassandra.writes, "SETTLE_S", 5.0)
        self._set(
            db.cassandra.schema, "columns", lru_cache(db.cassandra.schema.columns)
        )  # reads a file
        metrics = RedisMetrics(Publisher())
        self._set(cache.redis.rows, "RedisMetrics", lambda registry: metrics)
        return self

    def _set(self, module: Any, name: str, value: Any) -> None:
        self._before.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    def __exit__(self, *_exc: object) -> None:
        while self._before:
            setattr(*self._before.pop())

    def run(self, plan: Plan, *, seed: int | None = None, is_traced: bool = False) -> Outcome:
        """Run one schedule."""
        world = World(plan, plan.seed if seed is None else seed, is_traced=is_traced)
        self.kept.append(world)
        self._time.simulator = world.simulator
        try:
            return world.run()
        finally:
            world.simulator.end()


class _Random:
    """Stands in for the module ``random``."""

    def __init__(self, time: SimulatedTime) -> None:
        self._time = time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._time.simulator.random, name)


class _Secrets:
    """Stands in for ``secrets`` and for ``os.urandom``."""

    def __init__(self, time: SimulatedTime) -> None:
        self._time = time

    def token_hex(self, size: int) -> str:
        return self.urandom(size).hex()

    def urandom(self, size: int) -> bytes:
        return self._time.simulator.random.randbytes(size)
