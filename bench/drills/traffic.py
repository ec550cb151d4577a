"""The requests of the drills: reads and writes of rows, and how they are mixed."""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence

import orjson

from bench.lab.processes import Server
from bench.load.activity import is_row
from bench.load.loops import ClosedLoop
from bench.load.wire import Request

WARMING = 8  # requests at a time
DRAWS = 1_000


def reading(video_id: str, kind: str = "read", headers: bytes = b"") -> Request:
    """Return a GET of a row, counted under ``kind``, whose answer is checked."""
    return Request(f"/content/{video_id}", headers, kind, is_row(video_id))


def writes(ids: Sequence[str]) -> Iterator[Request]:
    """Yield checked PATCHes of durations without end, in turn: no two are of one row at once."""
    for number in itertools.count():
        video_id, body = ids[number % len(ids)], orjson.dumps({"duration": 1 + number})
        yield Request(f"/content/{video_id}", b"", "write", is_row(video_id), "PATCH", body)


def zipf(requests: Sequence[Request], exponent: float = 0.9) -> Iterator[Request]:
    """Draw requests without end; the n-th has the weight 1 / n ** ``exponent``."""
    weights = list(itertools.accumulate((at + 1) ** -exponent for at in range(len(requests))))
    while True:
        yield from random.choices(requests, cum_weights=weights, k=DRAWS)


def mixed(*parts: tuple[float, Iterator[Request]]) -> Iterator[Request]:
    """Draw each request from one of ``parts`` by its share; end with the first that ends."""
    shares, sources = zip(*parts, strict=True)
    while True:
        for source in random.choices(sources, shares, k=DRAWS):
            request = next(source, None)
            if request is None:
                return
            yield request


def warm(server: Server, requests: Iterable[Request]) -> None:
    """Ask for each once, and wait for the answers; raises AssertionError if one fails."""
    queue = iter(requests)
    done = ClosedLoop(server.host, server.port, queue, float("inf"), WARMING).to_end()
    assert not done.tally().failed, done.tally()
