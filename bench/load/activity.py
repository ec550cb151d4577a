"""What the visitors and the content managers of a video site ask for, and when.

Visitors arrive independently of each other (a Poisson process), open the home page, rest the
pointer on one tile after another along a row, go down to the next row, click or leave. The same
seed, ids and parameters give the same requests at the same times; nothing here looks at an answer.

    for due_s, request in Activity(ids, Behaviour(rate_s=400)).schedule(20): ...

The rows of a page are made for each visitor: what is on a tile is drawn by popularity (Zipf), and
how far along a row the pointer gets does not depend on it. So hovers follow Zipf's law by title
and fall geometrically by position.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, count
from typing import NamedTuple

import orjson

from bench.load.wire import Answer, Expect, Request, value_of

HOVER, CLICK = b"Priority: u=5\r\n", b"Priority: u=1\r\n"
REPLAYED = 20_000
POST_SHARE = 0.1  # of writes: a site changes what it has more often than it gets something new


@dataclass(frozen=True)
class Behaviour:
    """The parameters of the model: times in seconds, shares and chances from 0 to 1."""

    rate_s: float = 400.0
    """Requests a second of all visitors together; what the original bore before it had Redis."""
    zipf: float = 0.9
    """Popularity of the n-th title is 1 / n ** zipf. Requests for web objects and for video are
    found between 0.6 and 1.0 (Breslau et al., INFOCOM 1999, for the web); near 1, caches look good,
    so not at the edge."""
    tiles: int = 30
    """In a row: as many ids as a genre of ``/home`` has."""
    onward: float = 0.75
    """The chance of a further tile in the same row after a hover: three more on average, about
    what one screen shows of a row."""
    downward: float = 0.7
    """The chance of a further row once a row is left: some three rows a visit."""
    click: float = 0.05
    """The chance that a hover ends in a click, which ends the visit: two visits in five do."""
    glance_s: float = 0.4
    """From one tile to the next, on average: shorter, and browsers show no card."""
    read_s: float = 1.2
    """A card is read for so long on average: a sentence or two."""
    scroll_s: float = 2.0
    """From row to row, and from the home page to its first tile."""
    write_share: float = 0.002
    """Of all requests, by content managers: two in a thousand keep the invalidation at work without
    being what is measured (at 400 requests/s, 48 changed titles a minute)."""
    release_every_s: float = 10.0
    """So often a title from the less popular half comes among the most popular: far more often than
    on a site, so that a run of seconds sees the shift."""
    release_rank: int = 20
    """It comes to a rank below this."""
    seed: int = 1
    """Of everything drawn."""

    @property
    def hovers_a_visit(self) -> float:
        """The mean; that a row has an end is left out, which is a part in a thousand."""
        stops = (1 - self.onward) * (1 - self.downward)
        return 1 / (self.click + (1 - self.click) * stops)

    @property
    def requests_a_visit(self) -> float:
        """The mean of the home page, the hovers and the click."""
        return 1 + self.hovers_a_visit * (1 + self.click)


class Step(NamedTuple):
    """What a visitor does after ``pause_s``; ``position`` in the row, -1 outside of one."""

    pause_s: float
    kind: str
    position: int


def visit(behaviour: Behaviour, rng: random.Random) -> Iterator[Step]:
    """One visitor, from the home page to the click or the end of interest."""
    yield Step(0.0, "home", -1)
    pause_s = _about(rng, behaviour.scroll_s)
    while True:
        for position in range(behaviour.tiles):
            yield Step(pause_s, "hover", position)
            pause_s = _about(rng, behaviour.read_s)
            if rng.random() < behaviour.click:
                yield Step(pause_s, "click", position)
                return
            if rng.random() >= behaviour.onward:
                break
            pause_s += _about(rng, behaviour.glance_s)
        if rng.random() >= behaviour.downward:
            return
        pause_s += _about(rng, behaviour.scroll_s)


def _about(rng: random.Random, mean_s: float) -> float:
    return rng.expovariate(1 / mean_s)


@dataclass(eq=False)
class Visitor:
    """One under way; ``title`` is what the pointer rests on, and what a click plays."""

    steps: Iterator[Step]
    title: str = ""


Event = tuple[float, int, str, Visitor | None]
"""When, a number so that no two are compared further, what, and whose step it is."""


class Activity:
    """A site's visitors over the titles ``ids``, which are ranked by the seed and not by order.
    ``part`` tells the processes apart that make one site's activity: other visitors, same taste."""

    def __init__(
        self, ids: Sequence[str], behaviour: Behaviour | None = None, part: int = 0
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self._rng = random.Random(f"{self.behaviour.seed} {part}")
        self._ranked = random.Random(self.behaviour.seed).sample(ids, len(ids))
        self._weights = list(accumulate((at + 1) ** -self.behaviour.zipf for at in range(len(ids))))
        self._home = Request("/home", b"", "home", _is_home)
        self._made: dict[tuple[str, str], Request] = {}
        self._arrivals = _arrivals(self.behaviour)

    def schedule(self, seconds: float) -> Iterator[tuple[float, Request]]:
        """Yield the requests in the order in which they are due, from 0 to ``seconds``.

        The site has been open for a while: visits under way are there from the first moment. Call
        it once for each object.
        """
        numbers = count()
        since_s = -self._longest_s()
        due: list[Event] = []
        for kind, rate_s in self._arrivals.items():
            heapq.heappush(
                due, (since_s + _about(self._rng, 1 / rate_s), next(numbers), kind, None)
            )
        while due[0][0] < seconds:
            at_s, _, kind, visitor = heapq.heappop(due)
            if visitor is None:  # it came by itself, and so will the next
                again_s = at_s + _about(self._rng, 1 / self._arrivals[kind])
                heapq.heappush(due, (again_s, next(numbers), kind, None))
            if kind == "visit":
                visitor = Visitor(visit(self.behaviour, self._rng))
                kind = next(visitor.steps).kind
            request = self._request(kind, visitor)
            if at_s >= 0 and request is not None:
                yield at_s, request
            if visitor is not None and (step := next(visitor.steps, None)) is not None:
                heapq.heappush(due, (at_s + step.pause_s, next(numbers), step.kind, visitor))

    def _longest_s(self) -> float:
        """Nearly every visit is over after this: six times the mean of its length."""
        behaviour = self.behaviour
        step_s = behaviour.read_s + behaviour.glance_s + behaviour.scroll_s
        return 6 * behaviour.hovers_a_visit * step_s

    def _release(self) -> None:
        half = len(self._ranked) // 2
        title = self._ranked.pop(self._rng.randrange(half, len(self._ranked)))
        self._ranked.insert(self._rng.randrange(min(self.behaviour.release_rank, half + 1)), title)

    def _title(self) -> str:
        return self._rng.choices(self._ranked, cum_weights=self._weights)[0]

    def _request(self, kind: str, visitor: Visitor | None) -> Request | None:
        """Return the request of a step; None for a release, which changes later requests."""
        if kind == "release":
            self._release()
            return None
        if kind == "home":
            return self._home
        if visitor is None:
            return self._write()
        if kind == "hover":
            visitor.title = self._title()
        key = kind, visitor.title
        if key not in self._made:
            headers = CLICK if kind == "click" else HOVER
            path, expect = f"/content/{visitor.title}", is_row(visitor.title)
            self._made[key] = Request(path, headers, kind, expect)
        return self._made[key]

    def _write(self) -> Request:
        if self._rng.random() < POST_SHARE:
            # the same key in the next run, which then adds no row
            key = f"Idempotency-Key: bench-{self._rng.getrandbits(64):x}\r\n"
            body = {"title": "A new title", "genres": ["Documentaries"], "isMovie": True}
            return Request("/content", key.encode(), "write", _is_new, "POST", orjson.dumps(body))
        title, body = self._title(), {"duration": self._rng.randrange(60, 14_400)}
        changed = orjson.dumps(body)
        return Request(f"/content/{title}", b"", "write", is_row(title), "PATCH", changed)


def _arrivals(behaviour: Behaviour) -> dict[str, float]:
    """Return the rate a second of each kind of arrival: visits, writes and releases."""
    reads_s = behaviour.rate_s * (1 - behaviour.write_share)
    found = {
        "visit": reads_s / behaviour.requests_a_visit,
        "write": behaviour.rate_s * behaviour.write_share,
        "release": 1 / behaviour.release_every_s if behaviour.release_every_s else 0,
    }
    return {kind: rate_s for kind, rate_s in found.items() if rate_s}


def reads(ids: Sequence[str]) -> list[Request]:
    """Return REPLAYED reads of the activity, in order."""
    behaviour = Behaviour(write_share=0)
    schedule = Activity(ids, behaviour).schedule(REPLAYED / behaviour.rate_s)
    return [request for _, request in schedule]


def is_row(video_id: str) -> Expect:
    """Return a check that an answer is that row, whole, or says that it failed.

    Bodies are compared and not parsed, which would cost more than the request does.
    """
    begin = b'{"status":"success","data":{"id":"%b"' % video_id.encode()

    def expect(answer: Answer) -> bool:
        if answer.status != 200:
            return _has_failed(answer)
        return answer.body.startswith(begin) and answer.body.endswith(b"}}")

    return expect


def _has_failed(answer: Answer) -> bool:
    asks_again = answer.status != 503 or value_of(answer.head, b"retry-after: ").isdigit()
    return asks_again and answer.status >= 400 and answer.body.startswith(b'{"status":"failed"')


def _is_new(answer: Answer) -> bool:
    if answer.status != 201:
        return _has_failed(answer)
    return bool(orjson.loads(answer.body)["data"]["title"] == "A new title")


def _is_home(answer: Answer) -> bool:
    if answer.status != 200:
        return _has_failed(answer)
    return b'{"homePage":[{"' in answer.body and answer.body.endswith(b'"]}]}}')
