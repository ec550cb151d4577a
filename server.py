"""How uvicorn is run, and what it leaves open on the wire.

The protocol answers unreadable requests in the service's own envelope, and refuses what HTTP says
has to be refused: a request of HTTP/1.1 without exactly one ``Host`` (RFC 9112, 3.2).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import httptools
import orjson
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config import Config

logger = logging.getLogger("content")

KEEP_ALIVE_S = 75  # longer than a proxy keeps an idle connection, or it writes into a closed one
GRACE_S = 8  # below a container's stop grace of 10 s; uvicorn would wait for a stalled upload


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, stricter."""

    def on_headers_complete(self) -> None:
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise httptools.HttpParserError("exactly one Host is wanted")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        if self.transport.is_closing():
            return
        body = orjson.dumps({"status": "failed", "message": "The request cannot be read"})
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"cache-control: no-store\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
        )
        date = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        self.transport.write(head + date + b"\r\n" + body)
        self.transport.close()


def serve(config: Config, create_app: Callable[[], ASGIApp]) -> None:
    """Runs the service until it is told to stop."""
    options: dict[str, Any] = {
        "host": config.host,
        "port": config.port,
        "loop": "uvloop",
        "http": Protocol,
        "ws": "none",
        "lifespan": "on",
        "server_header": False,
        "access_log": config.access_log,
        "log_config": None,
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
    }
    if config.workers > 1:
        uvicorn.run("service:create_app", factory=True, workers=config.workers, **options)
    else:
        uvicorn.run(create_app(), **options)
