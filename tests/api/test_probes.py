"""Ready or not, by what the store and Redis are, and whoever asked before."""

from typing import Any

import orjson
import pytest

from api.handlers import Probes
from cache.near import Near
from config import Config
from drain import Drain
from metrics import Publisher
from tests.middleware.asgi import context


class Dependency:
    """A store, or Redis, in some state."""

    def __init__(self, state: str) -> None:
        self._state = state
        self.reason = ""

    def state(self) -> tuple[str, str]:
        return self._state, "" if self._state == "up" else "why"


class Redis(Dependency):
    state = property(lambda self: self._state)


@pytest.mark.parametrize(
    ("store", "redis", "status", "state"),
    [
        ("up", "up", 200, "ready"),
        ("up", "off", 200, "ready"),
        ("up", "down", 200, "degraded"),
        ("down", "up", 200, "degraded"),  # asked for the first time now: it was up all the same
        ("down", "down", 200, "degraded"),
        ("starting", "up", 503, "starting"),
    ],
)
async def test_only_what_never_could_serve_is_not_ready(
    store: str, redis: str, status: int, state: str
) -> None:
    there: Any = Dependency(store)
    cache: Any = Redis(redis)
    ctx = context()
    config, publisher = Config(near_ttl_s=4.0, redis_ttl_s=60.0), Publisher()
    await Probes(config, there, cache, Near(0, 4.0), publisher, Drain()).ready(ctx)
    data = orjson.loads(ctx.body)["data"]
    assert (ctx.status, data["state"]) == (status, state)
    assert data["store"] == ("up" if store == "up" else "down")
    assert (data["redis"], data["near"], data["ttl_s"]) == (
        *(redis, "off"),
        {"near": 4.0, "redis": 60.0},
    )
