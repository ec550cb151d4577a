"""The readers of the consistency check: as fast as they can, and no answer unchecked.

What most answers have in common is cheap to see: a known tag, the body that came with it before,
and a state no older than the newest that was acknowledged when the request was sent. The others
are *doubts*, kept with their times and judged when everything is known (``judge.py``).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection as Pipe
from time import monotonic
from typing import NamedTuple, cast

import orjson
import uvloop

from bench.consistency.writers import Course, position_of
from bench.load.wire import value_of
from db.version import etag
from middleware.cache_lookup import STATUS

LAYERS = {status: layer for layer, status in STATUS.items()}
ABSENT = -1
"""In place of a position: the row is not there. Which deletion that is of, an answer cannot say."""
DOUBTS_MAX = 200_000
FAULTS_MAX = 20
ROUND = 499
"""Requests in a connection's round; a prime, so that no two rounds march in step."""
SPELLINGS = ("query", "upper", "head", "condition")
PLAIN_WEIGHT = 100
"""To one of every other spelling: what is not plain costs the server three times as much."""
AGAIN_S = 0.05
NICE = 5  # readers take what the others leave: a writer has to know at once what was acknowledged


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
    """What one process of readers has seen. ``states``: by tag, the key and the body it had."""

    counts: Counter[str] = field(default_factory=Counter)
    states: dict[bytes, tuple[int, int, bytes]] = field(default_factory=dict)
    doubts: list[Doubt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Note an answer that would be wrong at any time."""
        self.counts["fault"] += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(text)


class Ask(NamedTuple):
    """A request, ready to be sent; of a conditional one, what comes before the tag."""

    key: int
    spelling: str
    request: bytes


def asks(ids: Sequence[str]) -> list[Ask]:
    """Return a round of requests for random rows, spelled in every way that leads to one."""
    weights = (PLAIN_WEIGHT, *(1 for _ in SPELLINGS))
    spellings = random.choices(("plain", *SPELLINGS), weights, k=ROUND)
    return [_ask(key, ids[key], each) for each in spellings for key in [random.randrange(len(ids))]]


def _ask(key: int, video_id: str, spelling: str) -> Ask:
    path = {
        "query": f"/content?videoId={video_id}",
        "upper": f"/content/{video_id.upper()}",
    }.get(spelling, f"/content/{video_id}")
    method = "HEAD" if spelling == "head" else "GET"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    head += "If-None-Match: " if spelling == "condition" else "\r\n"
    return Ask(key, spelling, head.encode())


def layer_of(status: bytes) -> str:
    """Return the layer that a Cache-Status names; "?" if it names none."""
    return "stale" if b"ttl=-" in status else LAYERS.get(status, "?")


class Connection(asyncio.Protocol):
    """One kept-alive connection to one replica: asks, checks, asks again, until ``until``."""

    def __init__(self, course: Course, replica: int, readings: Readings, until: float) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._newest, self._ids = course.newest, course.ids
        self._replica, self._readings, self._until = replica, readings, until
        self._asks = asks(course.ids)
        self._next = 0
        self._seen = [0] * len(course.ids)
        self._tags = [b'"none"'] * len(course.ids)
        self._part = b""
        self._is_told_to_close = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if monotonic() < self._until and not self._is_told_to_close:
            self._readings.counts["cut off"] += 1
        self.ended.set_result(None)

    def _send(self) -> None:
        self._ask = ask = self._asks[self._next]
        self._next = (self._next + 1) % ROUND
        request = ask.request
        if ask.spelling == "condition":
            request += self._tags[ask.key] + b"\r\n\r\n"
        # the order matters: what is acknowledged from here on, the answer need not know of
        self._floor = self._newest[ask.key]
        self._start_s = monotonic()
        if self._start_s < self._until:
            self._transport.write(request)
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        data = self._part + data
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end]
        is_whole = end >= 4
        if is_whole and self._ask.spelling != "head":
            is_whole = len(data) - end >= int(value_of(head, b"content-length: ") or b"0")
        if not is_whole:
            self._part = data
            return
        self._part = b""
        self._check(head[9:12], head, data[end:])
        self._is_told_to_close = b"connection: close" in head
        if self._is_told_to_close:
            self._transport.close()
        else:
            self._send()

    def _check(self, status: bytes, head: bytes, body: bytes) -> None:
        counts, ask = self._readings.counts, self._ask
        if status == b"404":
            counts["absent"] += 1
            # with a deletion as the newest that was acknowledged, absent is right
            if self._floor and not self._floor & 1:
                self._doubt("absent", ABSENT)
            return
        layer = layer_of(value_of(head, b"cache-status: "))
        if status in (b"503", b"504"):
            counts[f"read {status.decode()}"] += 1
            return
        if status not in (b"200", b"304") or layer == "?":
            self._readings.fault(f"{ask.spelling} of key {ask.key}: {head!r}")
            return
        counts[layer] += 1
        self._check_state(layer, status, value_of(head, b"etag: "), body)

    def _check_state(self, layer: str, status: bytes, tag: bytes, body: bytes) -> None:
        ask, state = self._ask, self._readings.states.get(tag)
        if status == b"304" and tag != self._tags[ask.key]:
            self._readings.fault(f"304 with {tag!r} for {self._tags[ask.key]!r}")
        elif status == b"200" and ask.spelling != "head":
            if state is None:
                state = self._learn(tag, body)
            if state[0] != ask.key or state[2] != body:
                self._readings.fault(f"{ask.spelling} of key {ask.key}: {tag!r} with {body!r}")
        key, position = ask.key, state[1] if state else position_of(tag.decode())
        if position < self._floor or position < self._seen[key]:
            self._doubt(layer, position)
        if position >= self._seen[key]:
            self._seen[key] = position
            self._tags[key] = tag

    def _learn(self, tag: bytes, body: bytes) -> tuple[int, int, bytes]:
        """Keep a state that is new to this process; its tag has to fit its row and version."""
        key = self._ask.key
        state = self._readings.states[tag] = (key, position_of(tag.decode()), body)
        row = orjson.loads(body)["data"]
        if row["id"] != self._ids[key] or tag.decode() != etag(row):
            self._readings.fault(f"key {key}: {tag!r} with {body!r}")
        return state

    def _doubt(self, layer: str, position: int) -> None:
        readings, ask = self._readings, self._ask
        readings.counts["doubt"] += 1
        if len(readings.doubts) < DOUBTS_MAX:
            where = (ask.key, self._replica, layer, ask.spelling, self._start_s, monotonic())
            readings.doubts.append(Doubt(*where, position, self._seen[ask.key]))


def run_readers(course: Course, pipe: Pipe) -> None:
    """Run one process of readers, with ``connections`` to each replica; send what they saw."""
    os.nice(NICE)

    async def run() -> Readings:
        readings = Readings()
        course.start.wait()
        until = monotonic() + course.seconds
        replicas = [*range(len(course.ports))] * course.connections
        await asyncio.gather(*(_read(course, each, readings, until) for each in replicas))
        return readings

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(run()))


async def _read(course: Course, replica: int, readings: Readings, until: float) -> None:
    """Read through one connection, and through another one when ``replica`` has closed it."""
    loop, make = asyncio.get_running_loop(), partial(Connection, course, replica, readings, until)
    while monotonic() < until:
        try:
            _, connection = await loop.create_connection(make, "127.0.0.1", course.ports[replica])
        except OSError:  # it was stopped
            await asyncio.sleep(AGAIN_S)
            continue
        await connection.ended
