"""The real servers that tests share; started by the first test that asks, stopped at the end.

Servers that the environment names are left alone: tests write, and count what they wrote. Workers
of pytest-xdist share one Cassandra (`shared.py`). Each has its own Redis, and its own ports.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

import server
from bench.lab import processes
from bench.lab.servers import CassandraNode, RedisServer
from tests import shared

PORTS_OF_A_WORKER = 500
WIDE = {"service", "warm"}
"""Fixtures with parameters, each a service that the tests of several files share."""

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a fixture on one worker: those of a file, or of a service that several
    files use."""
    for item in items:
        if not any(item.iter_markers("xdist_group")):
            item.add_marker(pytest.mark.xdist_group(group_of(item)))


def group_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    params: dict[str, object] = callspec.params if callspec else {}
    wide = [f"{fixture}: {params[fixture]}" for fixture in params.keys() & WIDE]
    return wide[0] if wide else item.nodeid.partition("::")[0]


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
