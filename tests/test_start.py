"""How the service starts, or says in one line why it cannot; and a signal that comes too early."""

import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

import server
from bench.lab.processes import free_ports
from bench.lab.targets import ROOT
from config import ConfigError
from tests.http.service import RunningService
from tests.http.wire import one_answer, request


def refused(folder: Path, **settings: str) -> str:
    """The one line of a service that did not start; warnings aside."""
    ours = {"EMBEDDED_PATH": str(folder / "content.sqlite3"), "WRITE_TOKEN": "x", "NEAR_BYTES": "0"}
    command = [sys.executable, str(ROOT / "service.py")]
    ended = subprocess.run(command, env=ours | settings, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_in_use_is_one_line_that_names_it(workers: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = refused(tmp_path, PORT=port, WORKERS=workers)
    assert said == f"content: PORT {port} of 127.0.0.1: Address already in use"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "300.1.1.1"])
def test_a_host_that_is_not_here_is_one_line(host: str, workers: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    said = refused(tmp_path, HOST=host, PORT=str(port), WORKERS=workers)
    assert said.startswith("content: HOST ")


def test_every_address_of_a_name_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ("127.0.0.1", "192.0.2.1", "127.0.0.2")
    known = [(socket.AF_INET, 1, 6, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *asked, **more: known)
    sockets = server.listen("name", 0)
    assert [bound.getsockname()[0] for bound in sockets] == ["127.0.0.1", "127.0.0.2"]
    for bound in sockets:
        bound.close()
    known[:] = known[1:2]
    with pytest.raises(ConfigError, match="that this machine does not have"):
        server.listen("name", 0)


def test_a_signal_during_the_imports_ends_in_order(tmp_path: Path) -> None:
    environ = {"EMBEDDED_PATH": str(tmp_path / "content.sqlite3"), "PORT": "0"}
    said = set()
    for _ in range(5):
        command = [sys.executable, str(ROOT / "service.py")]
        with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as process:
            _await_handler(process.pid)
            process.send_signal(signal.SIGTERM)
            said.add(process.communicate(timeout=60)[1])
        assert process.returncode == 0
    assert b"" in said  # on a busy machine, the signal may come later now and then
    assert not any(b"Traceback" in text for text in said)


def _await_handler(pid: int) -> None:
    """Until the process has a handler for SIGTERM, by what the kernel says of it."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text()
        (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
        if int(caught, 16) >> signal.SIGTERM - 1 & 1:
            return
    raise AssertionError("no handler")


class Limited(RunningService):
    """A service that may open few files."""

    def command(self) -> list[str]:
        limit = f"ulimit -n {server.OTHER_FILES + FIT}"
        return ["/bin/sh", "-c", f'{limit}; exec "$0" "$@"', *super().command()]


FIT = 20


def test_connections_beyond_the_limit_on_open_files_are_answered(tmp_path: Path) -> None:
    service = Limited({"CONNECTIONS_MAX": "30"}, tmp_path)
    with service.client, service, ExitStack() as held:
        statuses = []
        for _ in range(3 * FIT):
            connection = socket.create_connection((service.host, service.port), timeout=20)
            held.enter_context(connection)
            connection.sendall(request())
            statuses.append(one_answer(connection).status)
        assert set(statuses) == {200, 503}
        assert FIT - 1 <= statuses.count(200) <= FIT  # the one that asked for readiness may last
        said = f"CONNECTIONS_MAX is {FIT} and not 30: raise ulimit -n (open files)"
        assert service.log().count(said) == 1
        assert "Traceback" not in service.log()


def test_the_limit_on_open_files_is_raised_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = [(1_024, 4_096)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: limits.append(both))
    assert server.allow_connections() == 4_096
    assert limits[-1] == (4_096, 4_096)
