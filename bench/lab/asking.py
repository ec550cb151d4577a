"""Single requests to a service, and waiting for a state of it."""

import http.client
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urljoin

import orjson

from bench.lab.processes import Server
from bench.lab.spawn import ServerError

PAGE = 5_000
POLL_S = 0.02
IDS_S = 60.0
STATE_S = 20.0  # how long to wait for a state; only a state that never comes is a failure


class Told(NamedTuple):
    """An answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def data(self) -> Any:
        """The data of the body's envelope."""
        return orjson.loads(self.body).get("data")


def ask(
    server: Server, path: str, method: str = "GET", body: Any = None, timeout_s: float = 10.0
) -> Told:
    """Send one request on a connection of its own; ``body`` is sent as JSON. Raises OSError."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, orjson.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return Told(response.status, response.headers, response.read())
    finally:
        connection.close()


def ids_of(server: Server, limit: int | None = None) -> list[str]:
    """Return the ids of all rows, or of the first ``limit`` rows. A store that has just been filled
    may be too busy at first, so other answers than 200 are borne for IDS_S."""
    found: list[str] = []
    path, deadline_s = f"/uuids?limit={PAGE}", time.monotonic() + IDS_S
    while path and (limit is None or len(found) < limit):
        told = ask(server, path)
        if told.status == 200:
            found += told.data
            following = told.headers.get("link", "").partition("<")[2].partition(">")[0]
            path = urljoin(path, following) if following else ""
        elif time.monotonic() > deadline_s:
            raise ServerError(f"the catalogue's ids cannot be read: {told.status}")
        else:
            time.sleep(1)
    return found[:limit]


def seconds_until(holds: Callable[[], bool], bound_s: float = STATE_S) -> float | None:
    """Return the seconds that it took until ``holds``; None if it did not within ``bound_s``."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > bound_s:
            return None
        time.sleep(POLL_S)
    return time.monotonic() - began


def is_ready(service: Server, state: str) -> bool:
    """Return whether ``/readyz`` answers 200 with ``state``."""
    told = ask(service, "/readyz")
    return told.status == 200 and told.data["state"] == state


def counted(service: Server, series: str) -> float:
    """Return the sum of the series of ``/metrics`` that match a regular expression."""
    text = ask(service, "/metrics").body.decode()
    return sum(map(float, re.findall(rf"^{series} (\S+)$", text, re.MULTILINE)))
