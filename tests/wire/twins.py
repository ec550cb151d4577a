"""Two services that differ in the fast lane alone, and what each makes of the same bytes."""

import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.http.service import RunningService, running
from tests.http.wire import BOUND_S, Answer, parse

PAUSE_S = 0.01  # behind a whole answer: more of what one segment asked for may follow
QUIET_S = 0.4  # where no answer comes, since a segment is only a part of a request
_PASSING = re.compile(rb"(?<=\r\n)(date: |age: |server-timing: total;dur=|x-request-id: )[^\r]*")


class Outcome(NamedTuple):
    """What came back, without what differs from moment to moment."""

    heads: list[bytes]
    bodies: list[bytes]
    layers: list[str | None]
    statuses: list[int]
    closed: bool


class Twins(NamedTuple):
    """``lane`` has the fast lane, ``plain`` has not; they share the store's file."""

    lane: RunningService
    plain: RunningService

    def both(self, *pieces: bytes, methods: Sequence[str] = ()) -> tuple[Outcome, Outcome]:
        """What each answers to the same segments on a connection of its own."""
        with ThreadPoolExecutor(2) as pool:
            with_lane, without = pool.map(lambda each: _outcome(each, pieces, methods), self)
        return with_lane, without


def _outcome(service: RunningService, pieces: Sequence[bytes], methods: Sequence[str]) -> Outcome:
    """One segment after the other, each when what came before it is answered: what has to wait
    for its turn is another matter, in which the lane may differ by being faster."""
    received, closed = b"", False
    with socket.create_connection((service.host, service.port), timeout=BOUND_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(piece)
            said, closed = _hear(connection, methods, received)
            received += said
            if closed:
                break
    answers = parse(received, methods)
    return Outcome(
        [mask(answer) for answer in answers],
        [answer.body for answer in answers],
        [answer.headers.get("cache-status") for answer in answers],
        [answer.status for answer in answers],
        closed,
    )


def _hear(connection: socket.socket, methods: Sequence[str], before: bytes) -> tuple[bytes, bool]:
    """What comes until all of it is whole answers and a moment is silent; whether it closed."""
    said = b""
    while True:
        connection.settimeout(_patience_s(said, before, methods))
        try:
            data = connection.recv(65_536)
        except TimeoutError:
            return said, False
        except ConnectionResetError:
            return said, True
        if not data:
            return said, True
        said += data


def _patience_s(said: bytes, before: bytes, methods: Sequence[str]) -> float:
    """How long to wait for more; for the end of the connection as long as it takes."""
    if not said:
        return QUIET_S
    try:
        last = parse(before + said, methods)[-1]
    except (AssertionError, ValueError):
        return QUIET_S
    return BOUND_S if last.headers.get("connection") == "close" else PAUSE_S


def mask(answer: Answer) -> bytes:
    """The head without the time; that the names are there, and in which order, stays."""
    return _PASSING.sub(rb"\1", answer.head)


@contextmanager
def twins(folder: Path, settings: Mapping[str, str]) -> Iterator[Twins]:
    """Both, for as long as the block lasts."""
    shared = {"EMBEDDED_PATH": str(folder / "shared.sqlite3"), **settings}
    lane, plain = folder / "lane", folder / "plain"
    with (
        running({**shared, "FAST_LANE": "1"}, lane) as with_lane,
        running({**shared, "FAST_LANE": "0"}, plain) as without,
    ):
        yield Twins(with_lane, without)


def counted(client: httpx.Client) -> Counter[tuple[str, ...]]:
    """Requests so far, by (route, method, outcome, layer)."""
    found: Counter[tuple[str, ...]] = Counter()
    for line in client.get("/metrics").text.splitlines():
        if line.startswith("content_request_seconds_count{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            key = tuple(labels[name] for name in ("route", "method", "outcome", "layer"))
            found[key] += int(float(line.rsplit(" ", 1)[1]))
    return found
