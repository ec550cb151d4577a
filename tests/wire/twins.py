"""Two services that differ in the fast lane alone, and what each makes of the same bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.http.service import RunningService, running
from tests.http.wire import Answer, talk

PAUSE_S = 0.02  # between two segments: enough to be two reads, most of the time
QUIET_S = 0.3
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
    said = talk(service, *pieces, pause_s=PAUSE_S, quiet_s=QUIET_S, methods=methods)
    return Outcome(
        [mask(answer) for answer in said.answers],
        [answer.body for answer in said.answers],
        [answer.headers.get("cache-status") for answer in said.answers],
        said.statuses,
        said.closed,
    )


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
