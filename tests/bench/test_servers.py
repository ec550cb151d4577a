"""The servers of `bench.lab.servers`: real ones, since what is claimed is what the system does."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.lab.processes import exchange, free_ports
from bench.lab.servers import CassandraNode, RedisServer, ServerError, settings_of

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 20.0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def cassandra(frail_node: CassandraNode) -> CassandraNode:
    return frail_node.start()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BOUND_S
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def command(server: RedisServer, line: bytes) -> bytes:
    return exchange(server.host, server.port, line + b"\r\n", timeout_s=0.3)


def test_redis_answers_once_started(redis: RedisServer) -> None:
    assert command(redis, b"PING") == b"+PONG\r\n"
    assert is_alive(redis.pid)


def test_paused_redis_is_silent_until_resumed(redis: RedisServer) -> None:
    redis.pause()
    assert redis.running
    assert command(redis, b"PING") == b""
    redis.resume()
    assert command(redis, b"PING") == b"+PONG\r\n"


def test_restarted_redis_is_another_process_on_the_same_port(redis: RedisServer) -> None:
    pid, port = redis.pid, redis.port
    command(redis, b"SET key value")
    redis.restart()
    assert (redis.port, redis.pid == pid) == (port, False)
    assert command(redis, b"GET key") == b"$-1\r\n"


@pytest.mark.parametrize("end", [RedisServer.stop, RedisServer.kill])
def test_no_process_is_left_when_the_end_returns(
    redis: RedisServer, end: Callable[[RedisServer], None]
) -> None:
    pid = redis.pid
    end(redis)
    assert not is_alive(pid)
    assert not redis.running
    end(redis)  # again: nothing


def test_paused_redis_can_be_stopped(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    redis.pause()
    redis.stop()
    assert "is killed" not in caplog.text


def test_server_that_dies_at_its_start_is_an_error_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="no-such-option"):
        RedisServer(tmp_path, args=["--no-such-option", "1"]).start()


def test_a_port_is_chosen_again_only_after_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREE_PORTS", "19500-19520")
    chosen = [*free_ports(8), *free_ports(4)]  # none of them is bound yet
    assert len(set(chosen)) == 12
    assert set(chosen) <= set(range(19500, 19520))


def test_an_error_far_above_the_end_of_a_log_is_told(tmp_path: Path) -> None:
    talkative = RedisServer(tmp_path / "redis", ["--no-such-directive", "yes"])
    talkative.folder.mkdir()
    log = "ERROR the port is taken\n" + "the end is near\n" * 100
    (talkative.folder / "redis.log").write_text(log)
    with pytest.raises(ServerError, match="the port is taken"):
        talkative.start()


def test_server_that_never_answers_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = RedisServer(tmp_path)
    monkeypatch.setattr(server, "start_bound_s", 0.2)
    monkeypatch.setattr(server, "answers", lambda: False)
    with pytest.raises(ServerError, match="did not answer"):
        server.start()
    assert not is_alive(server.pid)


def test_a_download_before_the_start_takes_no_time_of_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, real, later = RedisServer(tmp_path), time.monotonic, [0.0]
    command = server.command()

    def downloaded() -> list[str]:
        later[0] = 10 * server.start_bound_s
        return command

    monkeypatch.setattr(server, "command", downloaded)
    monkeypatch.setattr(time, "monotonic", lambda: real() + later[0])
    with server:
        assert server.answers()


def test_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    with server:  # `start()` of one that runs changes nothing
        time.sleep(0.1)  # the kernel's signal would have come by now
        assert command(server, b"PING") == b"+PONG\r\n"


def test_temporary_folder_is_gone_with_its_server() -> None:
    server = RedisServer()
    with server:
        folder = server.folder
        assert folder.is_dir()
    del server
    assert not folder.exists()


PARENT = """
import signal
from bench.lab.processes import interruptible
from bench.lab.servers import RedisServer
with interruptible(), RedisServer() as server:
    print(server.pid, server.folder, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize(
    ("signum", "status"),
    [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)],
)
def test_no_child_is_left_when_its_parent_ends(
    signum: signal.Signals, status: int, tmp_path: Path
) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        pid, folder = parent.stdout.readline().split()
        assert is_alive(int(pid))
        parent.send_signal(signum)
        assert parent.wait(BOUND_S) == status
    assert eventually(lambda: not is_alive(int(pid)))
    assert Path(folder).exists() == (signum == signal.SIGKILL)


@pytest.mark.timeout(600)  # the very first start downloads 70 MB
def test_cassandra_speaks_cql_once_started(cassandra: CassandraNode) -> None:
    assert cassandra.answers()
    assert settings_of(cassandra)["CASSANDRA_PORT"] == str(cassandra.port)
