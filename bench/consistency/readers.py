"""The readers of the consistency check: as fast as they can, and no answer unchecked.

An answer that is not plainly right when it comes is a *doubt*, which ``judge.py`` judges later.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import NamedTuple

import orjson

from bench.consistency.writers import Course, position_of
from bench.load.wire import Answer, Asked, Connection, Request, value_of
from db.version import etag
from middleware.cache_lookup import STATUS

LAYERS = {status: layer for layer, status in STATUS.items()}
ABSENT = -1
"""In place of a position: the row is not there. Which deletion that is of, an answer cannot say."""
SPELLINGS = ("plain", "query", "upper", "head", "condition", "several")
WEIGHTS = (100, 1, 1, 1, 1, 1)  # the others cost the server three times as much as the plain one
SEVERAL_MAX = 6
"""A reader asks for at most this many rows at once, and for NEVER, an id without a row."""
NEVER = "00000000-0000-4000-8000-000000000000"
AGAIN_S = 0.05
ENVELOPE = {"status": "success"}


class Doubt(NamedTuple):
    """An answer that may be too old. ``seen``: the newest that its connection had had before."""

    key: int
    replica: int
    layer: str
    spelling: str
    start_s: float
    end_s: float
    position: int
    seen: int


@dataclass
class Readings:
    """What readers have seen. ``states``: by tag, the key, the position and the body it had."""

    counts: Counter[str] = field(default_factory=Counter)
    states: dict[bytes, tuple[int, int, bytes]] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # answers that would be wrong at any time


def layer_of(status: bytes) -> str:
    """Return the layer that a Cache-Status names; "?" if it names none."""
    return "stale" if b"ttl=-" in status else LAYERS.get(status, "?")


class Reader:
    """Owns one kept-alive connection to one replica: asks, checks, asks again, until ``until``."""

    def __init__(self, course: Course, replica: int, readings: Readings, until: float) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._newest, self._ids = course.newest, course.ids
        self._replica, self._readings, self._until = replica, readings, until
        self._seen = [0] * len(course.ids)
        self._tags = [b'"none"'] * len(course.ids)

    def idle(self, connection: Connection) -> None:
        """Send the next request: for a random row, in one of the spellings that lead to it."""
        self._key = random.randrange(len(self._ids))
        # the order matters: what is acknowledged from here on, the answer need not know of
        self._floor = self._newest[self._key]
        request = self._request(random.choices(SPELLINGS, WEIGHTS)[0])
        self._start_s = monotonic()
        if self._start_s < self._until:
            connection.send(Asked(request, self._start_s, 0.0))
        else:
            connection.transport.close()

    def _request(self, spelling: str) -> Request:
        """Return a request for the row, or with ``several`` for other rows; its kind is this."""
        video_id = self._ids[self._key]
        path, headers, method = f"/content/{video_id}", b"", "GET"
        if spelling == "query":
            path = f"/content?videoId={video_id}"
        elif spelling == "upper":
            path = f"/content/{video_id.upper()}"
        elif spelling == "head":
            method = "HEAD"
        elif spelling == "condition":
            headers = b"If-None-Match: %b\r\n" % self._tags[self._key]
        elif spelling == "several":
            keys = random.sample(range(len(self._ids)), min(SEVERAL_MAX, len(self._ids)))
            self._floors = {key: self._newest[key] for key in keys}
            path = "/content?ids=" + ",".join([*(self._ids[key] for key in keys), NEVER])
        return Request(path, headers, spelling, method=method)

    def lost(self, connection: Connection, asked: Asked | None, error: str) -> None:
        """Count a request without an answer."""
        if error == "malformed":
            self._readings.faults.append(f"{asked} got a malformed answer")
        elif asked is not None:
            self._readings.counts["cut off"] += 1
        self.ended.set_result(None)

    def answered(self, connection: Connection, asked: Asked, answer: Answer) -> None:
        """Check an answer."""
        counts, spelling = self._readings.counts, asked.request.kind
        status, head, body = answer
        if status == 404:
            self._check_absent(spelling)
            return
        layer = layer_of(value_of(head, b"cache-status: "))
        if status in (503, 504):
            counts[f"read {status}"] += 1
        elif status not in (200, 304) or layer == "?":
            self._readings.faults.append(f"{spelling} of key {self._key}: {head!r}")
        elif spelling == "several":
            self._check_several(layer, body)
        else:
            counts[layer] += 1
            self._check_state(layer, spelling, status, value_of(head, b"etag: "), body)

    def _check_absent(self, spelling: str) -> None:
        self._readings.counts["absent"] += 1
        # with a deletion as the newest that was acknowledged, absent is right
        if self._floor and not self._floor & 1:
            self._doubt("absent", spelling, ABSENT)

    def _check_several(self, layer: str, body: bytes) -> None:
        """Check each row of an answer as if it had been asked for alone.

        The answer names the last of the rows' layers. Behind Redis a row may come from any layer,
        so it is judged as one whose load was joined.
        """
        rows = orjson.loads(body)["data"]
        names = [*(self._ids[key] for key in self._floors), NEVER]
        if [*rows] != names or rows[NEVER] or body != orjson.dumps(ENVELOPE | {"data": rows}):
            self._readings.faults.append(f"several, {names}: {body!r}")
            return
        self._readings.counts["several"] += 1
        layer = "near" if layer in ("near", "redis") else "collapsed"
        for key, floor in self._floors.items():
            self._key, self._floor = key, floor
            row = rows[self._ids[key]]
            if row is None:
                self._check_absent("several")
                continue
            self._readings.counts[layer] += 1
            alone = orjson.dumps(ENVELOPE | {"data": row})
            self._check_state(layer, "several", 200, etag(row).encode(), alone)

    def _check_state(self, layer: str, spelling: str, status: int, tag: bytes, body: bytes) -> None:
        key, state = self._key, self._readings.states.get(tag)
        if status == 304 and tag != self._tags[key]:
            self._readings.faults.append(f"304 with {tag!r} for {self._tags[key]!r}")
        elif status == 200 and spelling != "head":
            if state is None:
                state = self._learn(tag, body)
            if state[0] != key or state[2] != body:
                self._readings.faults.append(f"{spelling} of key {key}: {tag!r} with {body!r}")
        position = state[1] if state else position_of(tag.decode())
        if position < self._floor or position < self._seen[key]:
            self._doubt(layer, spelling, position)
        if position >= self._seen[key]:
            self._seen[key] = position
            self._tags[key] = tag

    def _learn(self, tag: bytes, body: bytes) -> tuple[int, int, bytes]:
        """Keep a state that is new; its tag has to fit its row and version."""
        key = self._key
        state = self._readings.states[tag] = (key, position_of(tag.decode()), body)
        row = orjson.loads(body)["data"]
        if row["id"] != self._ids[key] or tag.decode() != etag(row):
            self._readings.faults.append(f"key {key}: {tag!r} with {body!r}")
        return state

    def _doubt(self, layer: str, spelling: str, position: int) -> None:
        readings, key = self._readings, self._key
        readings.counts["doubt"] += 1
        where = (key, self._replica, layer, spelling, self._start_s, monotonic())
        readings.doubts.append(Doubt(*where, position, self._seen[key]))


async def run_readers(course: Course) -> Readings:
    """Read through every connection until the end of the run, and return the readings."""
    readings, until = Readings(), monotonic() + course.options.seconds
    replicas = [*range(len(course.ports))] * course.options.readers
    await asyncio.gather(*(_read(course, each, readings, until) for each in replicas))
    return readings


async def _read(course: Course, replica: int, readings: Readings, until: float) -> None:
    """Read through one connection, and through another one when ``replica`` has closed it."""
    loop = asyncio.get_running_loop()
    while monotonic() < until:
        reader = Reader(course, replica, readings, until)
        make = partial(Connection, reader)
        try:
            await loop.create_connection(make, "127.0.0.1", course.ports[replica])
        except OSError:  # it was stopped
            await asyncio.sleep(AGAIN_S)
        else:
            await reader.ended
