"""The real servers that tests share; started by the first test that asks, stopped at the end.

Servers that the environment names are left alone: tests write, and count what they wrote.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import server
from bench.lab.servers import CassandraNode, RedisServer

server.allow_connections()  # a thousand clients are one process here


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def cassandra_node() -> Iterator[CassandraNode]:
    with CassandraNode(heap="768M") as node:
        yield node
