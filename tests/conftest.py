"""The real servers that tests share; started by the first test that asks, stopped at the end.

Servers that the environment names are left alone: tests write, and count what they wrote.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.servers import CassandraNode, RedisServer


def pytest_configure(config: pytest.Config) -> None:
    # acsylla never closes the pair of sockets by which its threads wake the event loop
    leak = r"ignore:unclosed <socket\.socket fd=\d+, family=1, type=1, proto=0>:ResourceWarning"
    config.addinivalue_line("filterwarnings", leak)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def cassandra_node() -> Iterator[CassandraNode]:
    with CassandraNode(heap="768M") as node:
        yield node
