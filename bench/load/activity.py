"""What the visitors and the content managers of a video site ask for, and when.

Visitors arrive independently of each other (a Poisson process), open the home page, rest the
pointer on one tile after another along a row, go down to the next row, click or leave. The same
seed, ids and parameters give the same requests at the same times. A tile's title is drawn by
popularity (Zipf): hovers follow Zipf's law by title and fall geometrically by position.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
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

    def schedule(self, seconds: float) -> Iterator[tuple[float, Request]]:
        """Yield the requests in the order in which they are due, from 0 to ``seconds``, once for
        each object. Visits under way are there from the first moment."""
        titles: dict[int, str] = {}
        for due_s, kind, visit in sorted(self._events(seconds)):
            if kind == "release":
                self._release()
                continue
            if kind == "hover":  # the pointer rests on a title, and a click plays that
                titles[visit] = self._title()
            if 0 <= due_s < seconds:
                yield due_s, self._request(kind, titles.get(visit, ""))

    def _events(self, seconds: float) -> Iterator[tuple[float, str, int]]:
        """Yield everything that happens, and what lies shortly before and behind it: when it is
        due, its kind, and the number of its visit, or -1."""
        behaviour = self.behaviour
        # nearly every visit is over after this: six times the mean of its length
        onward = behaviour.onward
        moves_s = onward * behaviour.glance_s + (1 - onward) * behaviour.scroll_s
        step_s = behaviour.read_s + moves_s
        since_s = -6 * behaviour.hovers_a_visit * step_s
        reads_s = behaviour.rate_s * (1 - behaviour.write_share)
        visits = self._arrivals(reads_s / behaviour.requests_a_visit, since_s, seconds)
        for number, due_s in enumerate(visits):
            for step in visit(behaviour, self._rng):
                due_s += step.pause_s
                yield due_s, step.kind, number
        for due_s in self._arrivals(behaviour.rate_s * behaviour.write_share, 0.0, seconds):
            yield due_s, "write", -1
        if behaviour.release_every_s:
            for due_s in self._arrivals(1 / behaviour.release_every_s, since_s, seconds):
                yield due_s, "release", -1

    def _arrivals(self, rate_s: float, since_s: float, until_s: float) -> Iterator[float]:
        """Yield moments of a Poisson process."""
        while rate_s and (since_s := since_s + _about(self._rng, 1 / rate_s)) < until_s:
            yield since_s

    def _release(self) -> None:
        half = len(self._ranked) // 2
        title = self._ranked.pop(self._rng.randrange(half, len(self._ranked)))
        self._ranked.insert(self._rng.randrange(min(self.behaviour.release_rank, half + 1)), title)

    def _title(self) -> str:
        return self._rng.choices(self._ranked, cum_weights=self._weights)[0]

    def _request(self, kind: str, title: str) -> Request:
        if kind == "home":
            return self._home
        if kind == "write":
            return self._write()
        if (kind, title) not in self._made:
            headers = CLICK if kind == "click" else HOVER
            self._made[kind, title] = Request(f"/content/{title}", headers, kind, is_row(title))
        return self._made[kind, title]

    def _write(self) -> Request:
        if self._rng.random() < POST_SHARE:
            # the same key in the next run, which then adds no row
            key = f"Idempotency-Key: bench-{self._rng.getrandbits(64):x}\r\n"
            body = {"title": "A new title", "genres": ["Documentaries"], "isMovie": True}
            return Request("/content", key.encode(), "write", _is_new, "POST", orjson.dumps(body))
        title, body = self._title(), {"duration": self._rng.randrange(60, 14_400)}
        changed = orjson.dumps(body)
        return Request(f"/content/{title}", b"", "write", is_row(title), "PATCH", changed)


def reads(ids: Sequence[str]) -> list[Request]:
    """Return REPLAYED reads of the activity, in order."""
    behaviour = Behaviour(write_share=0)
    schedule = Activity(ids, behaviour).schedule(REPLAYED / behaviour.rate_s)
    return [request for _, request in schedule]


def is_row(video_id: str) -> Expect:
    """Return a check that an answer is that row, whole, or says that it failed. Bodies are
    compared, because to parse them would cost more than the request does."""
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
