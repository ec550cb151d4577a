"""One simulated process of the service: the product's own classes, put together as ``service.py``
does it, on a loop with virtual time."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cache.near import Near
from cache.redis.absent import NoRedis
from cache.redis.address import Address
from cache.redis.rows import RedisRows
from cache.redis.sentinel import Sentinels
from cache.store import CachedVideoStore
from config import Config
from db.cassandra.limit import Limit
from db.cassandra.store import CassandraStore
from db.catalog.repair import Repair
from db.catalog.running import Patience, Progress
from tests.simulation.loop import ProcessLoop
from tests.simulation.plan import Plan
from tests.simulation.sentinel import HOSTS, PORT
from tests.simulation.simulator import Simulator

CONFIG = Config.from_env({"CASSANDRA_HOST": "cassandra", "REDIS_HOST": "redis"})
NEAR_BYTES = 1_000_000


class Replica:
    """A process from its start to its end. A restarted one is another ``Replica``."""

    def __init__(self, simulator: Simulator, plan: Plan, number: int, life: int) -> None:
        self.number, self.life = number, life
        self.name = f"replica {number}" + (f" (process {life})" if life >= plan.replicas else "")
        self.loop = ProcessLoop(simulator, self.name, number, plan.offsets_s[number])
        self.is_serving = False
        self.is_stopping = False
        self.loop.deliver(self._start, plan)
        self._tasks: list[Any] = []

    def _start(self, plan: Plan) -> None:
        clock = self.loop.time
        draw = self.loop.simulator.random.random
        self.limit = Limit(CONFIG.store_reads_max, clock=clock)
        config = replace(CONFIG, store_deadline_s=plan.store_deadline_s)
        self.store = CassandraStore(config, self.limit)
        self.near = Near(
            NEAR_BYTES,
            plan.near_ttl_s,
            clock=clock,
            wall=self.loop.wall_s,
            jitter=draw,
        )
        self.redis = NoRedis(self.near) if plan.redis == "none" else self._rows(plan)
        self.videos = CachedVideoStore(
            self.store, self.near, self.redis, plan.row_ttl_s, plan.stale_s
        )
        self._tasks.append(self.loop.create_task(self._open()))

    def _rows(self, plan: Plan) -> RedisRows:
        place: Address | Sentinels = Address("redis")
        if plan.redis == "sentinel":
            place = Sentinels([(host, PORT) for host in HOSTS], "master", Address())
        return RedisRows(place, self.store.identity, self.near, deadline_s=CONFIG.redis_deadline_s)

    async def _open(self) -> None:
        for part in (self.store, self.redis, self.videos):
            await part.open()
        self.is_serving = True

    @property
    def is_listening(self) -> bool:
        return self.is_serving and not self.is_stopping and not self.loop.dead

    @property
    def is_up(self) -> bool:
        """Whether it serves, and both its servers are known to be there."""
        has_redis = self.is_serving and self.redis.state != "down"
        return has_redis and self.store.state()[0] in ("up", "degraded")

    @property
    def is_busy(self) -> bool:
        """Whether writes go on in the background."""
        return bool(self.videos._fence._background._tasks or self.store._writes.background._tasks)

    @property
    def told(self) -> str:
        """What it is waiting for, in words."""
        redis = self.redis.reason if self.is_serving else ""
        store = self.store.state() if self.is_serving else ""
        return f"{self.name}: busy {self.is_busy}, Redis {redis!r}, store {store!r}"

    def repair(self, ended: Callable[[object], None]) -> None:
        """Run ``python -m db.catalog repair`` in this process."""

        def begin() -> None:
            out = Progress(io.StringIO())
            work = Repair(self.store, Patience(), out, settle_s=0.0)
            task = self.loop.create_task(work.run())
            self._tasks.append(task)
            task.add_done_callback(ended)

        self.loop.deliver(begin)

    def stop(self) -> None:
        """End in order: what ``service.py``'s lifespan does, whose parts close in reverse."""
        self.is_stopping = True
        self.loop.deliver(lambda: self._tasks.append(self.loop.create_task(self._close())))

    async def _close(self) -> None:
        for part in (self.videos, self.redis, self.store):
            await part.close()
        self.loop.kill()
