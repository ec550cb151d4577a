"""Runs uvicorn, in one process or in several. ``wire/`` has the limits of one connection."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import gc
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from config import Config, ConfigError
from wire.protocol import Protocol
from wire.strict import StrictProtocol

logger = logging.getLogger("content")

FILES = 65_536
OTHER_FILES = 100  # open in a process beside the connections of clients, with room to spare
NOT_STARTED = 3  # uvicorn's own status for a failed start
ANOTHER_S = 1.1  # a worker counts a signal sooner than AGAIN_S of middleware/drain.py as the same
_PREFIX = "content-"
GRACE_S = 7  # for requests under way; with DRAIN_S below stack.yml's stop grace; uvicorn has none


def calm_gc() -> None:
    """Make garbage collection rare, because cycles are rare here. Objects made at the start stay,
    and are not looked at again. With the defaults, collection takes an eighth of a busy process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def allow_connections(wanted: int = FILES) -> int:
    """Raise the limit on open files to ``wanted``, or as far as allowed, and return the limit. Each
    connection is a file, and a shell's soft limit of 1,024 is soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def within_files(config: Config) -> Config:
    """Return the settings with no more connections than this process may open files. A client above
    CONNECTIONS_MAX gets 503. Without a free file it would be cut off without answer or log."""
    files = allow_connections(max(FILES, config.connections_max + OTHER_FILES))
    fit = max(1, files - OTHER_FILES)
    if fit >= config.connections_max:
        return config
    if multiprocessing.parent_process() is None:  # once, not by each worker
        asked = config.connections_max
        logger.warning("CONNECTIONS_MAX is %d and not %d: raise ulimit -n (open files)", fit, asked)
    return dataclasses.replace(config, connections_max=fit)


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a bound socket for each address of ``host``. Raise ConfigError.

    Skip an address that this machine lacks if another address is bound, because "localhost" is
    often ::1, too, on a machine without IPv6.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError("HOST is a name without an address") from None
    sockets = []
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            sockets.append(_bound(family, address))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise ConfigError(f"PORT {port} of {address[0]}: {error.strerror}") from None
    if not sockets:
        raise ConfigError("HOST has an address that this machine does not have")
    return sockets


def _bound(family: int, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    bound.set_inheritable(True)
    logger.info("listening on %s, port %d", *bound.getsockname()[:2])
    return bound


class Server(uvicorn.Server):
    """A server whose orderly end after SIGTERM has status 0, where uvicorn's own is 143."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM:
            self._captured_signals.remove(sig)  # uvicorn raises what is left at the end


class Workers(Multiprocess):
    """Processes that share a port, and the parent that replaces dead processes."""

    def handle_int(self) -> None:
        super().handle_int()
        self.signal_queue.append(signal.SIGINT)  # for ``join_all``: Ctrl-C waits for no drain

    def join_all(self) -> None:
        """Wait for workers that were told to end. Pass another signal on to them, which ends their
        drain; uvicorn's own wait would ignore the signal."""
        told_s = time.monotonic()
        for listener in self.sockets:  # a worker closes its own copy at its end
            listener.close()
        while any(worker.process.is_alive() for worker in self.processes):
            if self.signal_queue and time.monotonic() - told_s > ANOTHER_S:
                self.signal_queue.clear()
                self.terminate_all()
            time.sleep(0.05)
        super().join_all()


def end_with_parent() -> None:
    """End this worker in order once its parent has ended in any way. No other process would end it,
    and it would keep the port from the next start."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextmanager
def shared_folder(variable: str) -> Iterator[None]:
    """Make a folder for the workers' metrics. ``variable`` names it to workers of the block."""
    _remove_abandoned()
    try:
        folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
    except OSError as error:
        raise ConfigError(f"WORKERS above 1 need a folder in TMPDIR: {error.strerror}") from None
    with folder as path:
        claim = os.open(path, os.O_RDONLY)
        fcntl.flock(claim, fcntl.LOCK_SH)  # keeps systemd-tmpfiles from removing it, however old
        os.environ[variable] = path
        try:
            yield
        finally:
            os.close(claim)


def _remove_abandoned() -> None:
    """Remove the shared folders of services that were killed. A living service and its workers
    hold a lock on their folder. A folder without a seat stays, as it may not be locked yet."""
    for seat in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/0.seat"):
        with suppress(OSError):  # another user's, in use, or removed by another start
            claim = os.open(seat.parent, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if os.fstat(claim).st_uid == os.geteuid():
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(seat.parent)
            finally:
                os.close(claim)


def serve(
    config: Config, create_app: Callable[[], ASGIApp], worker: str, folder_variable: str
) -> None:
    """Run the service until it is told to stop: the app of ``create_app``, or several workers, each
    with the app of the factory ``worker`` ("module:name")."""
    sockets = listen(config.host, config.port)
    app = create_app()  # for workers, too, so that an error is reported once, here
    if config.workers > 1:
        with shared_folder(folder_variable):
            workers = Workers(_uvicorn(config, worker), sockets)
            workers.run()
        is_up = all(process.exitcode != NOT_STARTED for process in workers.processes)
    else:
        one = Server(_uvicorn(config, app))
        with suppress(KeyboardInterrupt):  # Ctrl-C, once the server has ended in order
            one.run(sockets)
        is_up = one.started
    if not is_up:
        sys.exit(NOT_STARTED)


def _uvicorn(config: Config, app: ASGIApp | str) -> uvicorn.Config:
    """Return uvicorn's settings for ``app``, or for a factory of that name."""
    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        workers=config.workers,
        loop="uvloop",
        http=Protocol if config.fast_lane else StrictProtocol,
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # no answer depends on the client's address or on Host
        access_log=config.access_log,
        log_config=None,
        timeout_keep_alive=config.keep_alive_s,
        timeout_graceful_shutdown=GRACE_S,
    )
