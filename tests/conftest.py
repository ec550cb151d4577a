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
LONGEST = (
    *("frail node", "tests/test_failover_consistency.py", "tests/test_workers_end.py"),
    *("service: cassandra, redis, near, lane", "service: cassandra, redis"),
    *("tests/cache/test_failover.py", "tests/db/test_cassandra_moved.py", "tests/test_lives.py"),
    *("tests/simulation/test_mutants.py", "tests/test_consistency.py"),
    *("tests/db/test_cassandra_secure.py", "tests/api/test_demo_page.py"),
)
"""The groups that take longest are begun first, so that none of them is waited for at the end."""

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


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share a fixture on one worker: those of a file, or of a service that several
    files use."""
    groups = {item: group_of(item) for item in items}
    for item, group in groups.items():
        item.add_marker(pytest.mark.xdist_group(group))
    ranks = {group: rank for rank, group in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(groups[item], len(ranks)))


def group_of(item: pytest.Item) -> str:
    for mark in item.iter_markers("xdist_group"):
        return str(mark.args[0])
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
