"""The real servers that tests share; started by the first test that asks, stopped at the end.

Servers that the environment names are left alone: tests write, and count what they wrote. Workers
of pytest-xdist share one Cassandra (`shared.py`). Each has its own Redis, and its own ports.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import server
from bench.lab import processes
from bench.lab.servers import CassandraNode, RedisServer
from tests import shared
from tests.groups import Groups, rank_of

PORTS_OF_A_WORKER = 500

server.allow_connections()  # a thousand clients are one process here
os.environ.setdefault("JAVA_TOOL_OPTIONS", shared.SHORT_LIVED)


def pytest_configure(config: pytest.Config) -> None:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        first = processes.PORTS.start + PORTS_OF_A_WORKER * (1 + int(worker.removeprefix("gw")))
        use_ports(range(first, first + PORTS_OF_A_WORKER))
    elif config.getoption("numprocesses", None):
        use_ports(processes.PORTS[:PORTS_OF_A_WORKER])
        shared.listen()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Groups:
    return Groups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: rank_of(item.nodeid))


def pytest_collection_finish() -> None:
    gc.freeze()  # thousands of tests, which each full collection would look at again


def use_ports(ports: range) -> None:
    """Let this process and its children open servers on these ports alone: a port may be chosen
    long before it is bound, and nobody else may choose it meanwhile."""
    os.environ["FREE_PORTS"] = f"{ports.start}-{ports.stop}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def cassandra_node() -> Iterator[CassandraNode]:
    with shared.cassandra() as node:
        yield node


@pytest.fixture(scope="session")
def frail_node() -> Iterator[CassandraNode]:
    """A node that tests may stop, freeze and kill; not running at first."""
    node = CassandraNode(heap="512M")
    try:
        yield node
    finally:
        with suppress(Exception):
            node.resume()
        node.stop()
