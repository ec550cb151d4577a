"""Checks whether the service in this container serves: ``python -I -S healthcheck.py [PATH]``.

Exit with status 0 if PATH, by default ``/healthz``, answers 200; else with status 1 and a line. Ask
only this machine, at the PORT in force, without credentials. Import next to nothing, because the
script runs every few seconds. No step waits longer than ``TIMEOUT_S``.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

TIMEOUT_S = 2.0
LINE_BYTES = 1_024
ANY = {"": ("127.0.0.1",), "0.0.0.0": ("127.0.0.1",), "::": ("127.0.0.1", "::1")}  # noqa: S104
"""Addresses of a service that listens everywhere. Not "localhost", which may be ::1 alone."""


def setting(environ: Mapping[str, str], variable: str, default: str) -> str:
    """Return a setting, as ``config.lookup`` does, but stripped. Raise OSError without a file."""
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable, default).strip()
    with open(path) as file:
        return file.read().strip()


def status_line(host: str, port: int, path: str) -> str:
    """Return the first line of the answer, which may come in several parts.

    Raise OSError if the line does not come in time, or not to its end.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, port), timeout=TIMEOUT_S) as connection:
        connection.sendall(request.encode())
        with connection.makefile("rb") as answer:
            line = answer.readline(LINE_BYTES)
    if not line.endswith(b"\n") or line.isspace():
        raise ConnectionError("no status line")
    return line.decode(errors="replace").rstrip("\r\n")


def why_not(environ: Mapping[str, str], path: str) -> str:
    """Return the reason if the service does not serve, else an empty text."""
    why = ""
    try:
        host = setting(environ, "HOST", "127.0.0.1").strip("[]")  # of an IPv6 address
        port = int(setting(environ, "PORT", "1337"))
        for address in ANY.get(host, (host,)):
            try:
                line = status_line(address, port, path)
                return "" if line.startswith("HTTP/1.1 200 ") else line
            except OSError as error:
                why = why or f"{address}:{port}: {error}"
    except (OSError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
    return why


if __name__ == "__main__":
    if why := why_not(os.environ, (sys.argv[1:] or ["/healthz"])[0]):
        sys.exit(f"unhealthy: {why}")
