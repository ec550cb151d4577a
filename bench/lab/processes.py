"""Processes on this machine that tests and benchmarks start, wait for, freeze and stop.

Invariant: a process started here is stopped by its own id, or by the kernel after our end.
"""

import functools
import itertools
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

from bench.lab.spawn import Child, ServerError, spawn

log = logging.getLogger("bench")

POLL_S = 0.05
LOG_TAIL_LINES = 25
LOG_ERRORS = 5
# Below the ports that Linux hands out for outgoing connections (32768 on): a server that is down
# for a moment finds its port still free when it comes back. Processes that look for free ports at
# the same time get ranges of their own by the environment: FREE_PORTS=20000-20500.
PORTS = range(20_000, 32_000)


def free_ports(count: int, hosts: Sequence[str] = ("127.0.0.1",)) -> list[int]:
    """Return `count` different ports, each free on every one of `hosts`. A port is bound some time
    after it is chosen, so it is chosen again only after every other port of the range."""
    first, end = map(int, os.environ.get("FREE_PORTS", f"{PORTS.start}-{PORTS.stop}").split("-"))
    candidates = itertools.islice(_candidates(first, end), end - first)
    free = (port for port in candidates if all(is_free(host, port) for host in hosts))
    return [next(free) for _ in range(count)]


@functools.cache
def _candidates(first: int, end: int) -> Iterator[int]:
    """Return the ports of a range in a random order, without end."""
    return itertools.cycle(secrets.SystemRandom().sample(range(first, end), k=end - first))


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen there now; closed connections do not hinder it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def exchange(host: str, port: int, request: bytes, timeout_s: float = 1.0) -> bytes:
    """Return the first bytes answered to `request` on a new connection; none if none come."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(request)
            return connection.recv(4096)
    except OSError:
        return b""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGINT and SIGTERM leave the block, once; a second signal does not cut the stop short."""

    def interrupt(signum: int, _frame: object) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(signum)

    handled = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, interrupt) for each in handled]
    try:
        with suppress(KeyboardInterrupt):
            yield
    finally:
        for each, handler in zip(handled, before, strict=True):
            signal.signal(each, handler)


class Server(ABC):
    """One process that answers on `host:port`; `with` starts and stops it.

    `start()` returns when it answers, `stop()` and `kill()` when the process is gone; both may be
    called again and again, and `folder` is kept between them. A folder of its own is removed with
    this object. Not for two threads at once.
    """

    name = "server"
    start_bound_s = 60.0
    stop_bound_s = 20.0

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | None = None,
        folder: Path | None = None,
        *,
        logged: bool = True,
    ) -> None:
        self.host, self.port = host, free_ports(1)[0] if port is None else port
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.folder = folder
        self.log_path = self.folder / f"{self.name}.log" if logged else None
        self._process: Child | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Return the program, by its absolute path, and its arguments; may write to `folder`."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether the server gives a right answer now; bounded to a second or so."""

    def environment(self) -> Mapping[str, str]:
        """Return the environment of the process."""
        return os.environ

    @property
    def pid(self) -> int:
        """Return the id of the server's own process; raises ServerError if it was not started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Return whether the process is there, frozen or not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it; raises ServerError with the end of its log if it dies or stays silent."""
        if self.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self.command()  # the first one of Cassandra downloads it, which takes minutes
        began = time.monotonic()
        self._process = spawn(command, self.environment(), log_path=self.log_path)
        try:
            self._wait_for_answer(began + self.start_bound_s)
        except BaseException:  # an interrupt included: nobody would hold the half-started process
            self.kill()
            raise
        taken_s = time.monotonic() - began
        log.info("%s answers on %s:%d after %.1f s", self.name, self.host, self.port, taken_s)
        return self

    def stop(self) -> None:
        """Ask it to end and wait until it is gone; killed after `stop_bound_s` seconds."""
        if not self.running:
            return
        self.terminate()
        try:
            self._started().wait(self.stop_bound_s)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop in %.0f s and is killed", self.name, self.stop_bound_s)
        finally:
            self.kill()

    def terminate(self) -> None:
        """Ask it to end and do not wait, for several that may end at the same time."""
        self._send(signal.SIGTERM)
        self._send(signal.SIGCONT)  # a frozen process would hold the first signal for ever

    def kill(self) -> None:
        """End it as a crash does, with no time to tidy up."""
        self._send(signal.SIGKILL)
        self._started().wait()

    def pause(self) -> None:
        """Freeze it: connections stay open and are accepted by the kernel, and nothing answers."""
        self._send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send(signal.SIGCONT)

    def restart(self) -> Self:
        """Stop it in order, and start it again."""
        self.stop()
        return self.start()

    def wait(self) -> int:
        """Wait until it ends by itself; return its exit status."""
        return self._started().wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def resident_bytes(self) -> int:
        """Return the memory that its own process has now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def peak_bytes(self) -> int:
        """Return the most memory that its own process ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def cpu_s(self) -> float:
        """Return the CPU seconds that it and its children have used so far."""
        process = psutil.Process(self.pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        return float(sum(each.user + each.system for each in times))

    def _started(self) -> Child:
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process

    def _send(self, signum: signal.Signals) -> None:
        self._started().send_signal(signum)  # polls first: never sent to an id that was given away

    def _wait_for_answer(self, deadline: float) -> None:
        while not self.answers():
            if not self.running:
                raise ServerError(f"{self.name} ended with {self.wait()}:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                bound = f"within {self.start_bound_s:.0f} s of its start"
                raise ServerError(f"{self.name} did not answer {bound}:\n{self._log_tail()}")
            time.sleep(POLL_S)

    def _log_tail(self) -> str:
        """Return the end of its log, then its last errors, which may stand far above the end."""
        if self.log_path is None:
            return "(it wrote to this terminal)"
        lines = self.log_path.read_text(errors="replace").splitlines()
        errors = [line for line in lines if "ERROR" in line or "Exception" in line]
        return "\n".join(lines[-LOG_TAIL_LINES:] + errors[-LOG_ERRORS:])
