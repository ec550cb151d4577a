"""Several workers: how they do not start, and how they end."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from uvicorn.config import STARTUP_FAILURE

import server
from bench.lab.processes import free_ports, is_free
from bench.lab.targets import ROOT
from config import ConfigError
from tests.http.service import RunningService, running
from tests.http.wire import one_answer, request
from tests.workers_world import alone, command_line, connect, get, until, workers

DRAIN_S = 3.0
ENDLESS_S = 600.0  # longer than the time of a test


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Where the service makes its temporary folders."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def await_all(service: RunningService, status: int = 200) -> None:
    """Until each of the two workers answers with this status whether it is ready."""
    until(lambda: len(workers(service)) == 2)
    for worker in workers(service):
        with alone(service, worker):
            until(lambda: get(service, "/readyz").status_code == status)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "x"),
        ("REDIS_URL", "redis://127.0.0.1:1/s3cr3t"),
        ("EMBEDDED_PATH", "/nowhere/content.sqlite3"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    workers: str, variable: str, value: str, tmp_path: Path, folders: Path
) -> None:
    (port,) = free_ports(1)
    settings = {
        "PORT": str(port),
        "EMBEDDED_PATH": str(tmp_path / "content.sqlite3"),
        "WORKERS": workers,
        "NEAR_BYTES": "0",
        "TMPDIR": str(folders),
        variable: value,
    }
    command = [sys.executable, str(ROOT / "service.py")]
    ended = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"content: {variable} ")
    assert "s3cr3t" not in line
    assert not list(folders.iterdir())


def test_a_worker_that_replaces_another_has_the_settings_of_the_start(tmp_path: Path) -> None:
    setting = tmp_path / "max_age"
    setting.write_text("0\n")
    with running({"WORKERS": "2", "MAX_AGE_S_FILE": str(setting)}, tmp_path) as service:
        await_all(service)
        setting.unlink()
        victim = workers(service)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in workers(service))
        await_all(service)


def test_a_store_that_goes_wrong_later_ends_the_service_and_no_worker_is_tried_again(
    tmp_path: Path,
) -> None:
    with running({"WORKERS": "2"}, tmp_path) as service:
        await_all(service)
        (tmp_path / "content.sqlite3").unlink()
        (tmp_path / "content.sqlite3").mkdir()
        os.kill(workers(service)[0], signal.SIGKILL)
        assert service.wait() == STARTUP_FAILURE
        assert service.log().count("Application startup failed") == 1


def test_no_room_for_what_workers_share_is_a_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="TMPDIR"), server.shared_folder():
        pass


@pytest.fixture
def service(
    request: pytest.FixtureRequest, tmp_path: Path, folders: Path
) -> Iterator[RunningService]:
    drain_s = getattr(request, "param", DRAIN_S)
    settings = {"WORKERS": "2", "DRAIN_S": str(drain_s), "TMPDIR": str(folders)}
    with running(settings, tmp_path) as started:
        await_all(started)
        yield started


def crowd(service: RunningService) -> list[socket.socket]:
    """A connection to each worker."""
    connections = []
    for worker in workers(service):
        with alone(service, worker):
            connection = connect(service)
            connection.sendall(request())
            assert "connection" not in one_answer(connection).headers
            connections.append(connection)
    return connections


def test_a_drain_of_several_is_that_of_one(service: RunningService, folders: Path) -> None:
    team, connections = workers(service), crowd(service)
    assert len(list(folders.iterdir())) == 1
    os.kill(service.pid, signal.SIGTERM)
    await_all(service, 503)
    for connection in connections:
        with connection:
            connection.sendall(request())
            answer = one_answer(connection)
            assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert service.wait() == 0
    assert not any(map(command_line, team))
    assert not list(folders.iterdir())
    assert "Traceback" not in service.log()


def test_a_signal_to_the_whole_group_does_not_hurry(service: RunningService) -> None:
    """Each worker is told twice: by the signal itself, and by the parent soon after."""
    began = time.monotonic()
    os.killpg(service.pid, signal.SIGTERM)
    assert service.wait() == 0
    assert time.monotonic() - began > DRAIN_S


@pytest.mark.parametrize("service", [ENDLESS_S], indirect=True)
def test_a_later_signal_to_the_parent_hurries_the_workers(service: RunningService) -> None:
    os.kill(service.pid, signal.SIGTERM)
    await_all(service, 503)
    time.sleep(1.5)  # sooner, it would be the first one told twice
    os.kill(service.pid, signal.SIGTERM)
    assert service.wait() == 0


@pytest.mark.parametrize("service", [ENDLESS_S], indirect=True)
@pytest.mark.parametrize("gap_s", [1.1, 1.3])
def test_a_second_signal_hurries_whenever_the_parent_looks(
    service: RunningService, gap_s: float
) -> None:
    """The parent passes the first one on up to half a second late."""
    os.kill(service.pid, signal.SIGTERM)
    time.sleep(gap_s)
    os.kill(service.pid, signal.SIGTERM)
    assert service.wait() == 0


@pytest.mark.parametrize("service", [ENDLESS_S], indirect=True)
def test_an_interrupt_of_the_parent_waits_for_no_drain(service: RunningService) -> None:
    os.kill(service.pid, signal.SIGINT)
    assert service.wait() == 0


@pytest.mark.parametrize("service", [1], indirect=True)
def test_after_a_drain_no_connection_is_taken(service: RunningService) -> None:
    """Also while a worker still waits for the rest of a request."""
    with connect(service) as stalled:
        stalled.sendall(request("POST", "/content", "Content-Length: 10"))
        os.kill(service.pid, signal.SIGTERM)
        until(lambda: service.log().count("drain is over") == 2)
        until(lambda: is_free(service.host, service.port))
        stalled.setblocking(False)
        with pytest.raises(BlockingIOError):
            stalled.recv(1)  # it has no answer yet
    assert service.wait() == 0


@pytest.mark.parametrize("service", [0], indirect=True)
def test_workers_do_not_outlive_their_parent(service: RunningService, folders: Path) -> None:
    team = workers(service)
    os.kill(service.pid, signal.SIGKILL)
    service.wait()
    try:
        until(lambda: not any(map(command_line, team)))
        assert is_free(service.host, service.port)
        assert not list(folders.iterdir())
    finally:
        for worker in filter(command_line, team):
            os.kill(worker, signal.SIGKILL)
