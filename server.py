"""How uvicorn is run, in one process or in several; what one connection may do is in ``wire/``."""

from __future__ import annotations

import fcntl
import gc
import logging
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
NOT_STARTED = 3  # uvicorn's own status for that
GRACE_S = 7  # with the drain's default below a container's stop grace; uvicorn has none


def calm_gc() -> None:
    """What was made at start-up stays, and need not be looked at again; garbage in cycles is rare
    here. With the defaults collecting takes an eighth of the time of a busy process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def allow_connections() -> None:
    """Each connection is a descriptor, and a shell's soft limit of 1,024 is soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Server(uvicorn.Server):
    """An orderly end after SIGTERM is a success: status 0, where uvicorn's own is 143."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM:
            self._captured_signals.remove(sig)  # what stays there is raised again at the end


class Workers(Multiprocess):
    """Processes that share a port, and the parent that replaces those that die."""

    def join_all(self) -> None:
        """Waits for workers that were told to end. uvicorn's own wait is deaf; here another signal
        is passed on, and hurries their drain."""
        while any(worker.process.is_alive() for worker in self.processes):
            if self.signal_queue:
                self.signal_queue.clear()
                self.terminate_all()
            time.sleep(0.05)
        super().join_all()


def end_with_parent() -> None:
    """Ends this worker in order once its parent is gone, however that ended: nobody else would, and
    it would keep the port from whoever is started next."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextmanager
def shared_folder(variable: str) -> Iterator[None]:
    """A folder for what workers share, which ``variable`` names to those started in the block."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="content-")
    except OSError as error:
        raise ConfigError(f"WORKERS above 1 need a folder in TMPDIR: {error.strerror}") from None
    with folder as path:
        claim = os.open(path, os.O_RDONLY)
        fcntl.flock(claim, fcntl.LOCK_SH)  # tells systemd-tmpfiles that it is in use, however old
        os.environ[variable] = path
        try:
            yield
        finally:
            os.close(claim)


def serve(
    config: Config, create_app: Callable[[], ASGIApp], worker: str, folder_variable: str
) -> None:
    """Runs the service until it is told to stop: the app that ``create_app`` makes, or several
    workers with the app of the factory ``worker``, "module:name", each."""
    allow_connections()  # workers inherit it
    app = create_app()  # for workers, too: what cannot be built is said here, and once
    if config.workers > 1:
        with shared_folder(folder_variable):
            serve_workers(
                uvicorn.Config(worker, factory=True, workers=config.workers, **_options(config))
            )
    else:
        one = Server(uvicorn.Config(app, **_options(config)))
        with suppress(KeyboardInterrupt):  # Ctrl-C, once the server has ended in order
            one.run()
        if not one.started:
            sys.exit(NOT_STARTED)


def serve_workers(config: uvicorn.Config) -> None:
    """Until they are told to stop, or one of them finds that it cannot start."""
    workers = Workers(config, [config.bind_socket()])
    workers.run()
    if any(worker.exitcode == NOT_STARTED for worker in workers.processes):
        sys.exit(NOT_STARTED)


def _options(config: Config) -> dict[str, Any]:
    return {
        "host": config.host,
        "port": config.port,
        "loop": "uvloop",
        "http": Protocol if config.fast_lane else StrictProtocol,
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "proxy_headers": False,  # nothing here is made of who asks, or by which name
        "access_log": config.access_log,
        "log_config": None,
        "timeout_keep_alive": config.keep_alive_s,
        "timeout_graceful_shutdown": GRACE_S,
    }
