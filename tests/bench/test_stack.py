"""What `make stack` starts and what it leaves alone."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

import parsers
from bench.lab.processes import exchange, free_ports
from bench.lab.servers import ServerError
from bench.stack import in_url, replica, run, two_ports, with_demo, with_servers


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


def test_second_replica_gets_the_next_free_port() -> None:
    (taken,) = free_ports(1)
    with socket.create_server(("127.0.0.1", taken + 1)):
        assert two_ports("127.0.0.1", taken) == (taken, taken + 2)


def test_each_replica_lets_the_page_of_the_other_one_read(tmp_path: Path) -> None:
    settings = {"CORS_ORIGINS": "https://a.example", "REDIS_HOST": "cache", "PORT": "1"}
    one = replica(settings, "127.0.0.1", 1337, 1338)
    assert (one["PORT"], one["REDIS_HOST"]) == ("1337", "cache")
    assert one["CORS_ORIGINS"] == "https://a.example,http://127.0.0.1:1338,http://localhost:1338"
    (tmp_path / "origins").write_text("https://b.example")
    named = replica({"CORS_ORIGINS_FILE": str(tmp_path / "origins")}, "localhost", 1338, 1337)
    assert named == {"PORT": "1338", "CORS_ORIGINS": "https://b.example,http://localhost:1337"}
    theirs = replica({}, in_url("::1"), 1337, 1338)
    assert parsers.each(parsers.origin)(theirs["CORS_ORIGINS"])[0] == "http://[::1]:1338"
    assert [in_url(host) for host in ("::", "0.0.0.0", "a")] == ["127.0.0.1", "127.0.0.1", "a"]
