"""Whether the service in this container serves: ``python -I -S healthcheck.py [PATH]``.

Status 0 when PATH, ``/healthz`` unless it is given, answers 200; 1 and a line when not. It asks
this machine alone, at the PORT in force, and sends no credentials; it imports next to nothing, as
it is run every few seconds, and is done or gives up within ``TIMEOUT_S``.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

TIMEOUT_S = 2.0
ANY = {"": ("127.0.0.1",), "0.0.0.0": ("127.0.0.1",), "::": ("127.0.0.1", "::1")}  # noqa: S104
"""Where to ask a service that listens everywhere. Not "localhost", which may be ::1 alone."""


def setting(environ: Mapping[str, str], variable: str, default: str) -> str:
    """As ``settings.lookup`` does, for what has no blanks; raises OSError for a missing file."""
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable, default).strip()
    with open(path) as file:
        return file.read().strip()


def status_line(host: str, port: int, path: str) -> bytes:
    """The first line of the answer; raises OSError when there is none in time."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        connection.sendall(request.encode())
        return connection.recv(64).partition(b"\r\n")[0]


def why_not(environ: Mapping[str, str], path: str) -> str:
    """Why it does not serve; empty when it does."""
    why = ""
    try:
        host = setting(environ, "HOST", "127.0.0.1").strip("[]")  # of an IPv6 address
        port = int(setting(environ, "PORT", "1337"))
        for address in ANY.get(host, (host,)):
            try:
                line = status_line(address, port, path)
            except OSError as error:
                why = why or f"{address}:{port}: {error}"
                continue
            return "" if line.startswith(b"HTTP/1.1 200 ") else line.decode(errors="replace")
    except (OSError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
    return why


if __name__ == "__main__":
    if why := why_not(os.environ, (sys.argv[1:] or ["/healthz"])[0]):
        sys.exit(f"unhealthy: {why}")
