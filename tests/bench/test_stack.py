"""What `make stack` starts and what it leaves alone."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack

import pytest

from bench.lab.processes import exchange
from bench.lab.servers import ServerError
from bench.stack import run, with_demo, with_servers


def test_named_servers_are_used_and_none_is_started() -> None:
    environ = {"CASSANDRA_HOST": "db1,db2", "REDIS_URL": "redis://cache:6379/0", "PORT": "1"}
    with ExitStack() as running:
        assert with_servers(environ, running) == environ


def test_servers_started_are_named_to_the_service() -> None:
    with ExitStack() as running:
        settings = with_servers({"CASSANDRA_HOST": "db1"}, running)
        assert exchange(settings["REDIS_HOST"], int(settings["REDIS_PORT"]), b"PING\r\n")
    assert settings["CASSANDRA_HOST"] == "db1"


def test_taken_port_is_an_error_before_anything_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {**os.environ, "HOST": "127.0.0.1", "PORT": str(taken.getsockname()[1])}
        with pytest.raises(ServerError, match="set PORT"):
            run(environ)


def test_stack_shows_its_page_unless_told_otherwise() -> None:
    assert with_demo({})["DEMO"] == "1"
    assert with_demo({"DEMO": "0"})["DEMO"] == "0"
    assert "DEMO" not in with_demo({"DEMO_FILE": "x"})
