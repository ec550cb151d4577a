"""The choice of Redis by the settings, and the place of Redis while none is configured.

So no caller of ``RedisRows`` has to ask whether there is a Redis.
"""

import asyncio
from collections.abc import Sequence

from cache.entry import Entry
from cache.near import Near
from cache.redis.address import Address
from cache.redis.link import Identity, Place
from cache.redis.rows import RedisRows
from cache.redis.scripts import Intent, Lease
from cache.redis.sentinel import Sentinels
from config import Config
from metrics import Publisher

_LEASE = Lease("", granted=True, held=False)


class NoRedis:
    """Has no values, grants every lease and intent, and puts each fill near.

    That is coherent only for one process. ``Reads`` fills no load that a write has overtaken.
    """

    state, reason, layer = "off", "", "near"

    def __init__(self, near: Near) -> None:
        self._near = near

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def get(self, key: str) -> None:
        pass

    def ask(self, key: str) -> asyncio.Future[Entry | None] | None:
        return None

    async def lease(
        self, key: str, *, replace: bool = False, deadline_s: float | None = None
    ) -> Entry | Lease:
        found = None if replace else self._near.get(key)  # another load may have put it near
        return found or _LEASE

    def fill(self, key: str, lease: Lease, entry: Entry, keep_s: float) -> None:
        self._near.put(key, entry)

    def release(self, key: str, lease: Lease) -> None:
        pass

    async def intend(self, keys: Sequence[str], *, may_be_late: bool = False) -> Intent:
        return ""

    async def settle(self, keys: Sequence[str], intent: Intent) -> bool:
        return True


Rows = RedisRows | NoRedis


def open_redis(config: Config, identity: Identity, near: Near, publisher: Publisher) -> Rows:
    """Return the client of Redis, not opened yet, whose values and invalidations go to ``near``."""
    if not config.has_redis:
        return NoRedis(near)
    if config.redis_host:
        address = Address(config.redis_host, config.redis_port)
    else:  # without a URL, sentinels find the host
        address = Address.from_url(config.redis_url or "redis://", config.redis_ca)
    place: Place = address
    if config.redis_sentinels:
        master, password = config.redis_sentinel_master, config.redis_sentinel_password
        place = Sentinels(config.redis_sentinels, master, address, password)
    return RedisRows(place, identity, near, publisher, deadline_s=config.redis_deadline_s)
