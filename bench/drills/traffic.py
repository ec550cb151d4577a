"""What drills ask for: rows, and how an answer for one is known to be right."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

import orjson

from bench.lab.processes import Server
from bench.load.loops import Answer, Expect, Request, closed, paced
from bench.load.wire import value_of

WARMING = 8  # requests at a time
DRAWS = 1_000


def row_of(video_id: str) -> Expect:
    """A 200 has to be this row, whole; everything else an answer of ours that says it failed, and a
    503 when to come again."""

    def expect(answer: Answer) -> bool:
        body = orjson.loads(answer.body)
        if answer.status == 200:
            return bool(body["data"]["id"] == video_id and body["status"] == "success")
        asks_again = answer.status != 503 or value_of(answer.head, b"retry-after: ").isdigit()
        return bool(body["status"] == "failed" and asks_again)

    return expect


def reading(video_id: str, kind: str = "read", headers: bytes = b"") -> Request:
    return Request(f"/content/{video_id}", headers, kind, row_of(video_id))


def writing(video_id: str, duration: int) -> Request:
    body = orjson.dumps({"duration": duration})
    return Request(f"/content/{video_id}", b"", "write", row_of(video_id), "PATCH", body)


def zipf(requests: Sequence[Request], exponent: float = 0.9) -> Iterator[Request]:
    """Endless draws; the n-th is asked for as often as 1 / n ** exponent says."""
    weights = list(accumulate((at + 1) ** -exponent for at in range(len(requests))))
    while True:
        yield from random.choices(requests, cum_weights=weights, k=DRAWS)


def mixed(*parts: tuple[float, Iterator[Request]]) -> Iterator[Request]:
    """Each request from one of ``parts``, as often as its share says; ends with the first."""
    shares, sources = zip(*parts, strict=True)
    while True:
        for source in random.choices(sources, shares, k=DRAWS):
            request = next(source, None)
            if request is None:
                return
            yield request


def warm(server: Server, requests: Iterable[Request]) -> None:
    """Asks for each once, and waits for the answers."""
    queue = iter(requests)
    done = closed(server.host, server.port, queue, float("inf"), WARMING)
    assert not done.tally().failed, done.tally()


__all__ = ["mixed", "paced", "reading", "row_of", "warm", "writing", "zipf"]
