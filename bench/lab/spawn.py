"""Starts child processes that cannot outlive this interpreter.

Invariant: a child is the leader of its own session, so the terminal's Ctrl-C reaches us alone and
we stop the children in order; the kernel kills it when this interpreter dies
(`die_with_parent.py`); and it alone holds the claim on its folder, for exactly as long as it lives.
"""

from __future__ import annotations

import fcntl
import functools
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

LAUNCHER = str(Path(__file__).with_name("die_with_parent.py"))
CLAIM_BOUND_S = 15.0

Child = subprocess.Popen[bytes]
Requests = queue.SimpleQueue[tuple[Callable[[], Child], "Future[Child]"]]


class ServerError(RuntimeError):
    """A server that did not start or died, or a folder that another one still uses."""


def spawn(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    log_path: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start `command`, an absolute path first; its output is appended to `log_path`, or ours."""
    pid = os.getpid()
    launch = [sys.executable, "-I", "-S", LAUNCHER, str(pid), *command]
    output = log_path.open("ab") if log_path else None

    def start() -> Child:
        return subprocess.Popen(
            launch,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            pass_fds=pass_fds,
            start_new_session=True,
        )

    future: Future[Child] = Future()
    _spawner(pid).put((start, future))
    try:
        return future.result()
    finally:
        if output:
            output.close()


@functools.cache
def _spawner(pid: int) -> Requests:
    """Return the requests to the one thread that starts every child of process `pid`.

    Linux sends the parent-death signal when the *thread* that forked ends, so a server started from
    a short-lived thread would die with that thread. This one lives as long as the interpreter; it
    is a daemon, for other threads are waited for before the at-exit calls that stop the servers in
    order.
    """
    requests: Requests = queue.SimpleQueue()

    def serve() -> None:
        while True:
            start, future = requests.get()
            try:
                future.set_result(start())
            except Exception as error:  # noqa: BLE001 - it belongs to the caller, who waits
                future.set_exception(error)

    threading.Thread(target=serve, name=f"spawner-{pid}", daemon=True).start()
    return requests


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Yield a descriptor that stands for the sole use of `folder`, to be handed to the child.

    The lock belongs to the open file, which the child inherits: it is free again when the child is
    gone, whoever started it and however it ended. A predecessor that is just ending is waited for;
    then ServerError.
    """
    descriptor = os.open(folder / ".in-use", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + CLAIM_BOUND_S
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                raise ServerError(f"{folder} is in use by another running server")
            time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
