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
from ctypes import Array, c_int64
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from multiprocessing.synchronize import Barrier
from time import monotonic
from typing import NamedTuple

import orjson
import uvloop

from db.version import new_id, version_us

ANSWER_S = 20.0  # no write may take longer than that, whatever happens to it
DELETED, REWRITTEN, REGENRED = 0.07, 0.07, 0.12
UNKNOWN = '"unknown"'  # stands for the tag of a row that is there, in a version nobody has seen


@dataclass
class Course:
    """What the processes of a run share. ``newest`` is the position of each key's newest
    acknowledged state; one process writes it, and eight aligned bytes are read whole."""

    run: str
    ports: tuple[int, ...]
    ids: tuple[str, ...]
    seconds: float
    writers: int
    pause_s: float
    connections: int
    newest: Array[c_int64]
    start: Barrier

    @property
    def genres(self) -> list[str]:
        return [f"{self.run} {name}" for name in ("drama", "comedy", "thriller")]


class Write(NamedTuple):
    """``status`` is the answer's; times are monotonic, which is one clock for all processes.
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
        return self.status in (200, 201)

    @property
    def unknown(self) -> bool:
        return self.status == 504


class Answer(NamedTuple):
    status: int
    tag: str
    body: bytes


def id_of(run: str, key: int) -> str:
    """The id that a POST with our idempotency key gets, so that a deleted row comes back as it."""
    return new_id(f"{run}-{key}")


def position_of(tag: str) -> int:
    """Where the state with this entity tag stands; raises ValueError for no tag of a row."""
    return 2 * version_us(tag.strip('"').partition(".")[0])


class Client:
    """One kept-alive connection, one request at a time: a client library costs a millisecond of
    the CPU that the servers need, and as much between an answer and our knowing it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{headers}\r\n"
        writer.write(head.encode() + body)
        async with asyncio.timeout(ANSWER_S):
            line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = dict(each.split(": ", 1) for each in rest if each)
            answer = await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            await self.close()
        return Answer(int(line.split()[1]), fields.get("etag", ""), answer)

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass
class Rows:
    """What all writers know of the rows. ``tags``: of each key's newest state, empty when it is
    believed gone, which the next write to it finds out."""

    course: Course
    tags: list[str]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    log: list[Write] = field(default_factory=list)

    def note(self, write: Write, tag: str) -> None:
        """Keeps a write, and tells readers of one that was acknowledged."""
        self.log.append(write)
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
        until = monotonic() + self._course.seconds
        while monotonic() < until:
            key = random.randrange(len(self._course.ids))
            await self._write(key)
            await self._pause()
            if not self._rows.tags[key]:  # soon: reads of what is not there cost the most
                await self._write(key)
                await self._pause()
        for client in self._clients:
            await client.close()

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

    async def _send(self, key: int, method: str, tag: str = "") -> None:
        course, number = self._course, next(self._rows.numbers)
        replica = random.randrange(len(course.ports))
        path = "/content" if method == "POST" else f"/content/{course.ids[key]}"
        headers = f"Idempotency-Key: {course.run}-{key}\r\n" if method == "POST" else ""
        headers += f"If-Match: {tag}\r\n" if tag else ""
        body = b"" if method == "DELETE" else self._body(number, method)
        sent_s = monotonic()
        answer = await self._clients[replica].ask(method, path, body, headers)
        answered_s = monotonic()  # before anything else: from here on the old row is too old
        position = position_of(answer.tag) if answer.status in (200, 201) and answer.tag else 0
        if method == "DELETE" and tag != UNKNOWN:
            position = position_of(tag) + 1
        entry = Write(
            key, number, method, replica, sent_s, answered_s, answer.status, position, answer.body
        )
        self._rows.note(entry, answer.tag)

    def _body(self, number: int, method: str) -> bytes:
        text = "".join(random.choices("abcdefgh ", k=random.randrange(10, 200)))
        fields: dict[str, object] = {"duration": number, "description": text}
        if method == "POST":
            fields |= {"title": "A row that changes", "isMovie": True}
        if method == "POST" or random.random() < REGENRED:
            fields["genres"] = random.sample(self._course.genres, random.randint(1, 2))
        return orjson.dumps(fields)


def run_writers(course: Course, pipe: Pipe) -> None:
    """The process of all writers; sends what they did."""

    async def run() -> list[Write]:
        rows = Rows(course, [""] * len(course.ids))
        course.start.wait()
        await asyncio.gather(*(Writer(course, rows).run() for _ in range(course.writers)))
        return rows.log

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(run()))
