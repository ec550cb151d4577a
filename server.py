"""How uvicorn is run; what one connection may do is in ``wire/``."""

from __future__ import annotations

import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from config import Config
from wire.protocol import Protocol

logger = logging.getLogger("content")

KEEP_ALIVE_S = 75  # longer than a proxy keeps an idle connection, or it writes into a closed one
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


def serve(config: Config, create_app: Callable[[], ASGIApp]) -> None:
    """Runs the service until it is told to stop."""
    allow_connections()  # workers inherit it
    options: dict[str, Any] = {
        "host": config.host,
        "port": config.port,
        "loop": "uvloop",
        "http": Protocol,
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "proxy_headers": False,  # nothing here is made of who asks, or by which name
        "access_log": config.access_log,
        "log_config": None,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
    }
    if config.workers > 1:
        uvicorn.run("service:create_app", factory=True, workers=config.workers, **options)
    else:
        one = Server(uvicorn.Config(create_app(), **options))
        with suppress(KeyboardInterrupt):  # Ctrl-C, once the server has ended in order
            one.run()
        if not one.started:
            sys.exit(NOT_STARTED)
