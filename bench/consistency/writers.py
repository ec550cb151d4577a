"""The writers of the consistency check: what they did to each row, and when they knew it.

Every write puts a number of its own into the row, so a row that is read names the write it is of.
The states of one row stand in one order, their *position*: the microseconds of the row's version,
doubled; a deletion stands right behind the version that it deleted, one higher.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

import orjson

from bench.consistency.client import NO_ANSWER, Client
from bench.load.wire import Answer, Request, value_of
from db.version import new_id, version_us

DELETED, REWRITTEN, REGENRED = 0.07, 0.07, 0.12
REST_S = 8.0
"""A row rests so long after a write of unknown outcome: the outcome is known by then."""
AGAIN_S = 0.05
UNKNOWN = '"unknown"'  # stands for the tag of a row that is there, in a version nobody has seen


@dataclass
class Course:
    """What readers and writers share. ``newest`` is the position of each key's newest acknowledged
    state; ``readers`` is the number of connections that read from each of ``ports``."""

    run: str
    ports: tuple[int, ...]
    ids: tuple[str, ...]
    seconds: float
    readers: int
    writers: int
    pause_s: float
    newest: list[int]

    @property
    def genres(self) -> list[str]:
        """The genres of the run."""
        return [f"{self.run} {name}" for name in ("drama", "comedy", "thriller")]


Old = tuple[int, str]
"""A key, and an answer that was too old although its row was at rest."""


class Write(NamedTuple):
    """``status`` is the answer's; times are monotonic.
    ``position``: of the state that it made; 0 when nobody was told. ``body``: of the answer."""

    key: int
    number: int
    method: str
    replica: int
    sent_s: float
    answered_s: float
    status: int
    position: int
    body: bytes

    @property
    def held(self) -> bool:
        """Whether the write was acknowledged."""
        return self.status in (200, 201)

    @property
    def unknown(self) -> bool:
        """Whether the outcome of the write is unknown."""
        return self.status in (504, NO_ANSWER)


def id_of(run: str, key: int) -> str:
    """Return the id that a POST with our idempotency key gets; a deleted row comes back as it."""
    return new_id(f"{run}-{key}")


def position_of(tag: str) -> int:
    """Return the place of the state with this entity tag; raises ValueError if it is no row's."""
    return 2 * version_us(tag.strip('"').partition(".")[0])


def tag_of(answer: Answer) -> str:
    """Return the entity tag of an answer; empty if there is none."""
    return value_of(answer.head, b"etag: ").decode()


@dataclass
class Rows:
    """What all writers know of the rows. ``tags``: of each key's newest state, empty when it is
    believed gone, which the next write to it finds out. ``rest_s``: when the rest of a key ends."""

    course: Course
    tags: list[str]
    rest_s: dict[int, float] = field(default_factory=dict)
    old: list[Old] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    log: list[Write] = field(default_factory=list)

    def note(self, write: Write, tag: str) -> None:
        """Keep a write, and tell readers of a write that was acknowledged."""
        self.log.append(write)
        if write.unknown:
            self.rest_s[write.key] = monotonic() + REST_S
        if write.held:
            if write.position > self.course.newest[write.key]:
                self.course.newest[write.key] = write.position
                self.tags[write.key] = tag
        elif write.status == 404:
            self.tags[write.key] = ""
        elif write.status == 422:  # a POST found the row
            self.tags[write.key] = UNKNOWN


class Writer:
    """Writes to random rows through a random replica, one write at a time."""

    def __init__(self, course: Course, rows: Rows) -> None:
        self._course, self._rows = course, rows
        self._clients = [Client(port) for port in course.ports]

    async def run(self) -> None:
        """Write until the end of the run."""
        until = monotonic() + self._course.seconds
        while monotonic() < until:
            key = random.randrange(len(self._course.ids))
            if key in self._rows.rest_s:
                await self._look_at_rest(key)
                await self._pause()
                continue
            await self._write(key)
            await self._pause()
            if not self._rows.tags[key] and key not in self._rows.rest_s:
                await self._write(key)  # soon: reads of what is not there cost the most
                await self._pause()
        for client in self._clients:
            client.close()

    async def _look_at_rest(self, key: int) -> None:
        """Compare the caches with the store once the rest of ``key`` has ended: a write on the
        condition of the state that a replica serves must not be refused."""
        rows = self._rows
        if rows.rest_s[key] > monotonic():
            return
        rows.rest_s[key] = float("inf")  # for the other writers, until the comparison is done
        replica, found = await self._ask(Request(f"/content/{self._course.ids[key]}"))
        status = None
        if found.status == 200:
            status = await self._send(key, "PATCH", tag_of(found))
        elif found.status == 404:
            status = await self._send(key, "POST")
        if status in (404, 412, 422):
            rows.old.append((key, f"at replica {replica}: {found}, but a write finds {status}"))
        if rows.rest_s[key] == float("inf"):
            del rows.rest_s[key]

    async def _ask(self, request: Request) -> tuple[int, Answer]:
        """Ask any replica that listens, and return its number with its answer."""
        while True:
            replica = random.randrange(len(self._clients))
            with suppress(ConnectionRefusedError):  # it was stopped
                return replica, await self._clients[replica].ask(request)
            await asyncio.sleep(AGAIN_S)

    async def _pause(self) -> None:
        await asyncio.sleep(random.uniform(0, 2 * self._course.pause_s))

    async def _write(self, key: int) -> None:
        tag, drawn = self._rows.tags[key], random.random()
        if not tag:
            await self._send(key, "POST")
        elif drawn < DELETED:
            # only with a condition is it known which state a deletion comes after
            await self._send(key, "DELETE", tag)
        else:
            await self._send(key, "PATCH", tag if drawn < DELETED + REWRITTEN else "")

    async def _send(self, key: int, method: str, tag: str = "") -> int:
        course, number = self._course, next(self._rows.numbers)
        path = "/content" if method == "POST" else f"/content/{course.ids[key]}"
        headers = f"Idempotency-Key: {course.run}-{key}\r\n" if method == "POST" else ""
        headers += f"If-Match: {tag}\r\n" if tag else ""
        body = b"" if method == "DELETE" else self._body(number, method)
        sent_s = monotonic()
        request = Request(path, headers.encode(), method=method, body=body)
        replica, answer = await self._ask(request)
        answered_s = monotonic()  # before anything else: from here on the old row is too old
        told = tag_of(answer)
        position = position_of(told) if answer.status in (200, 201) and told else 0
        if method == "DELETE" and tag != UNKNOWN:
            position = position_of(tag) + 1
        entry = Write(
            key, number, method, replica, sent_s, answered_s, answer.status, position, answer.body
        )
        self._rows.note(entry, told)
        return answer.status

    def _body(self, number: int, method: str) -> bytes:
        text = "".join(random.choices("abcdefgh ", k=random.randrange(10, 200)))
        fields: dict[str, object] = {"duration": number, "description": text}
        if method == "POST":
            fields |= {"title": "A row that changes", "isMovie": True}
        if method == "POST" or random.random() < REGENRED:
            fields["genres"] = random.sample(self._course.genres, random.randint(1, 2))
        return orjson.dumps(fields)


async def run_writers(course: Course) -> tuple[list[Write], list[Old]]:
    """Write until the end of the run; return the writes, and the old answers that were met."""
    rows = Rows(course, [""] * len(course.ids))
    await asyncio.gather(*(Writer(course, rows).run() for _ in range(course.writers)))
    return rows.log, rows.old
