"""Checks whether the service in this container serves: ``python -I -S healthcheck.py [PATH]``.

Exit with status 0 if PATH, by default ``/healthz``, answers 200; else with status 1 and a line. Ask
only this machine, at the HOST and PORT in force, without credentials. Import next to nothing,
because the script runs every few seconds. No step waits longer than ``TIMEOUT_S``.
"""

import os
import socket
import sys
from collections.abc import Mapping

TIMEOUT_S = 2.0
LINE_BYTES = 1_024


def setting(environ: Mapping[str, str], variable: str, default: str) -> str:
    """Return a setting, as ``config.lookup`` does, but stripped. Raise OSError without a file."""
    path = environ.get(f"{variable}_FILE")
    if path is None:
        return environ.get(variable, default).strip()
    with open(path) as file:
        return file.read().strip()


def why_not(environ: Mapping[str, str], path: str) -> str:
    """Return the reason if the service does not serve, else an empty text."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        host = setting(environ, "HOST", "127.0.0.1").strip("[]")  # of an IPv6 address
        # behind :: try both loopbacks, as ::1 may be switched off; 0.0.0.0 leads to loopback itself
        place = None if host == "::" else host, int(setting(environ, "PORT", "1337"))
        with socket.create_connection(place, timeout=TIMEOUT_S) as connection:
            connection.sendall(request.encode())
            with connection.makefile("rb") as answer:
                line = answer.readline(LINE_BYTES).decode(errors="replace")
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    if line.startswith("HTTP/1.1 200 ") and line.endswith("\n"):
        return ""
    return line.strip() or "no status line"


if __name__ == "__main__":
    if why := why_not(os.environ, (sys.argv[1:] or ["/healthz"])[0]):
        sys.exit(f"unhealthy: {why}")
