"""Runs uvicorn, in one process or in several, and sets up their log.

``wire/`` has the limits of one connection.
"""

import dataclasses
import errno
import fcntl
import gc
import json
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from config import Config, ConfigError
from metrics import FOLDER
from wire.protocol import Protocol
from wire.strict import StrictProtocol

NOT_STARTED = STARTUP_FAILURE
"""The exit status of a worker after which uvicorn starts no other worker."""
logger = logging.getLogger("content")

OTHER_FILES = 100  # open in a process beside the connections of clients, with room to spare
ANOTHER_S = 1.1  # a worker counts a signal sooner than AGAIN_S of drain.py as the same
GRACE_S = 7  # for requests under way; with DRAIN_S below stack.yml's stop grace; uvicorn has none


class JsonFormatter(logging.Formatter):
    """Makes one JSON object of each record. Arguments that are a mapping are fields, too.

    The object is ASCII, by ``json``, because orjson refuses lone surrogates, and not every encoding
    of stderr has all characters.
    """

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"time": when, "level": record.levelname, "logger": record.name}
        line |= {"message": record.getMessage(), "process": record.process}
        if isinstance(record.args, Mapping):
            line |= record.args
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def set_up_log(config: Config) -> None:
    """Log every record from INFO on. With several workers, each line has its process ID."""
    process = "[%(process)d] " if config.workers > 1 else ""
    text = logging.Formatter(f"%(asctime)s {process}%(levelname)s %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if config.log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def calm_gc() -> None:
    """Make garbage collection rare, because cycles are rare here.

    Objects made at the start stay, and are not looked at again. With the defaults, collection takes
    an eighth of a busy process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def allow_connections() -> int:
    """Raise the limit on open files as far as allowed, and return the limit.

    Each connection is a file, and a shell's soft limit of 1,024 is soon used up.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # never infinite: at most fs.nr_open
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def within_files(config: Config) -> Config:
    """Return the settings with no more connections than this process may open files.

    A client above CONNECTIONS_MAX gets 503. Without a free file it would be cut off without answer
    or log.
    """
    fit, asked = max(1, allow_connections() - OTHER_FILES), config.connections_max
    if fit >= asked:
        return config
    logger.warning("CONNECTIONS_MAX is %d and not %d: raise ulimit -n (open files)", fit, asked)
    return dataclasses.replace(config, connections_max=fit)


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of ``host``. Raise ConfigError.

    Skip an address that this machine lacks if another address is bound, because "localhost" is
    often ::1, too, on a machine without IPv6.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ConfigError("HOST is a name without an address") from None
    sockets = []
    for family, _, _, _, address in dict.fromkeys(found):
        is_dual = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
        try:
            sockets.append(socket.create_server(address, family=family, dualstack_ipv6=is_dual))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                why = os.strerror(error.errno or 0)  # without the address, which the text has
                raise ConfigError(f"PORT {port} of {address[0]}: {why}") from None
    if not sockets:
        raise ConfigError("HOST has an address that this machine does not have")
    return sockets


class Workers(Multiprocess):
    """Processes that share a port, and the parent that replaces dead processes."""

    def handle_int(self) -> None:
        super().handle_int()
        self.signal_queue.append(signal.SIGINT)  # for ``join_all``: Ctrl-C waits for no drain

    def join_all(self) -> None:
        """Wait for workers that were told to end.

        Pass another signal on to them, which ends their drain; uvicorn's own wait would ignore the
        signal.
        """
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
    """End this worker in order once its parent has ended in any way.

    No other process would end it and remove the shared folder, and it would keep the port from the
    next start.
    """
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            shutil.rmtree(os.environ[FOLDER], ignore_errors=True)
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


@contextmanager
def shared_folder() -> Iterator[None]:
    """Make a folder for the workers' metrics, which the environment names within the block."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="content-")
    except OSError as error:
        raise ConfigError(f"WORKERS above 1 need a folder in TMPDIR: {error.strerror}") from None
    with folder as path:
        claim = os.open(path, os.O_RDONLY)
        fcntl.flock(claim, fcntl.LOCK_SH)  # keeps systemd-tmpfiles from removing it, however old
        os.environ[FOLDER] = path
        yield
        os.close(claim)


def serve(config: Config, sockets: list[socket.socket], create_app: Callable[[], ASGIApp]) -> None:
    """Run the service until it is told to stop, in one process or in several workers.

    Each makes its own app; ``create_app`` has to be picklable for workers.
    """
    if config.workers == 1:
        with suppress(KeyboardInterrupt):  # Ctrl-C, once the server has ended in order
            uvicorn.Server(_uvicorn(config, create_app)).run(sockets)
        return
    with shared_folder():
        workers = Workers(_uvicorn(config, create_app), sockets)
        workers.run()
    if any(worker.exitcode == NOT_STARTED for worker in workers.processes):
        sys.exit(NOT_STARTED)


def _uvicorn(config: Config, create_app: Callable[[], ASGIApp]) -> uvicorn.Config:
    """Return uvicorn's settings."""
    return uvicorn.Config(
        create_app,
        factory=True,
        workers=config.workers,
        loop="uvloop",
        http=Protocol if config.has_lane else StrictProtocol,
        ws="none",
        lifespan="on",
        server_header=False,
        proxy_headers=False,  # no answer depends on the client's address or on Host
        access_log=False,  # ours has more: middleware/timing.py
        log_config=None,
        timeout_keep_alive=config.keep_alive_s,
        timeout_graceful_shutdown=GRACE_S,
    )
