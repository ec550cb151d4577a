"""The combinations of layers that the contract is held over; each is a running service.

A test asks for ``client``, and runs once for every line of ``COMBINATIONS``. Tests share the
service, so each works on rows and genres of its own. What a test does to the service must leave no
traceback in its log: that is checked after every one.
"""

import itertools
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx
import pytest

from bench.lab.servers import Server, settings_of
from tests.http.service import RunningService, keyspace, running


class Combination(NamedTuple):
    """Which store and which layers of cache the service has."""

    cassandra: bool
    redis: bool
    near: bool
    lane: bool

    def __str__(self) -> str:
        layers = [name for name in ("redis", "near", "lane") if getattr(self, name)]
        return ", ".join(["cassandra" if self.cassandra else "embedded", *layers])

    @property
    def settings(self) -> Mapping[str, str]:
        return {
            **({} if self.near else {"NEAR_BYTES": "0"}),
            "FAST_LANE": str(int(self.lane)),
        }


ALL = [Combination(*layers) for layers in itertools.product((False, True), repeat=4)]
EXTREMES = [
    Combination(cassandra=False, redis=False, near=False, lane=False),
    Combination(cassandra=False, redis=False, near=True, lane=True),
    Combination(cassandra=False, redis=True, near=True, lane=True),
    Combination(cassandra=True, redis=True, near=False, lane=False),
    Combination(cassandra=True, redis=True, near=True, lane=True),
]
COMBINATIONS = ALL if os.environ.get("ALL_COMBINATIONS") == "1" else EXTREMES
"""The extremes; all sixteen, three times as long, when the environment says so."""

PATIENT = {"STORE_DEADLINE_S": "10"}  # what is tested here is what it answers, not how soon


class StartsService(Protocol):
    """Makes a service with these settings beside the shared one, for as long as a block lasts."""

    def __call__(self, **settings: str) -> AbstractContextManager[RunningService]: ...


@pytest.fixture(scope="session", params=COMBINATIONS, ids=str)
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    wanted: Combination = request.param

    def server(name: str, is_wanted: bool) -> Server | None:
        found: Server | None = request.getfixturevalue(name) if is_wanted else None
        return found

    settings = {
        **PATIENT,
        **settings_of(
            server("cassandra_node", wanted.cassandra), server("redis_server", wanted.redis)
        ),
        "CASSANDRA_KEYSPACE": keyspace(),
        "CASSANDRA_REPLICATION": "1",  # without it the service looks for other nodes for 3 s
        **wanted.settings,
    }
    with running(settings, tmp_path_factory.mktemp("service")) as started:
        yield started


@pytest.fixture
def client(service: RunningService) -> httpx.Client:
    return service.client


@pytest.fixture
def start_service(tmp_path: Path) -> StartsService:
    def start(**settings: str) -> AbstractContextManager[RunningService]:
        return running(settings, tmp_path)

    return start


@pytest.fixture(autouse=True)
def _no_traceback(request: pytest.FixtureRequest) -> Iterator[None]:
    """No input is one that nobody foresaw."""
    if "service" not in request.fixturenames:
        yield
        return
    service: RunningService = request.getfixturevalue("service")
    before = len(service.log())
    yield
    assert "Traceback" not in service.log()[before:]
    assert service.running
