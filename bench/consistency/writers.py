"""The writers of the consistency check: what they did to each row, and when they knew it.

Every write puts its number into the row. The states of a row are ordered by their *position*: twice
the microseconds of the row's version; a deletion is one higher than the version that it deleted.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import NamedTuple

import orjson

from bench.consistency.chaos import Options
from bench.load.wire import Answer, Asked, Connection, Request, value_of
from db.version import version_us

DELETED, REWRITTEN, REGENRED = 0.07, 0.07, 0.12
REST_S = 8.0  # a row rests so long after a write of unknown outcome: the outcome is known by then
AGAIN_S = 0.05
ANSWER_S = 20.0  # no write may take longer than that, whatever happens to it
NO_ANSWER = 0  # the status of a request whose connection ended before the answer
UNKNOWN = '"unknown"'  # stands for the tag of a row that is there, in a version nobody has seen


@dataclass
class Course:
    """What readers and writers share.

    ``ids`` are those of POSTs with our idempotency keys, so a deleted row comes back with its id.
    ``newest`` is the position of each key's newest acknowledged state.
    """

    run: str
    ports: tuple[int, ...]
    ids: tuple[str, ...]
    options: Options
    newest: list[int]

    @property
    def genres(self) -> list[str]:
        """The genres of the run."""
        return [f"{self.run} {name}" for name in ("drama", "comedy", "thriller")]


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


def position_of(tag: str) -> int:
    """Return the place of the state with this entity tag; raises ValueError if it is no row's."""
    return 2 * version_us(tag.strip('"').partition(".")[0])


@dataclass
class Rows:
    """What all writers know of the rows. ``tags``: of each key's newest state, empty when it is
    believed gone, which the next write to it finds out. ``rest_s``: when the rest of a key ends.
    ``old``: a key, and an answer that was too old although its row was at rest."""

    course: Course
    tags: list[str]
    rest_s: dict[int, float] = field(default_factory=dict)
    old: list[tuple[int, str]] = field(default_factory=list)
    last_number: int = 0
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


class Client:
    """One kept-alive connection, one request at a time; reconnects when it was lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Connection | None = None
        self._answer: asyncio.Future[Answer]

    async def ask(self, request: Request) -> Answer:
        """Send a request, and return its answer, or NO_ANSWER if the connection ends first.
        Raises ConnectionRefusedError, and TimeoutError after ANSWER_S."""
        loop = asyncio.get_running_loop()
        if self._connection is None:
            connect = partial(Connection, self)
            _, self._connection = await loop.create_connection(connect, "127.0.0.1", self._port)
        self._answer = loop.create_future()
        self._connection.send(Asked(request, 0.0, 0.0))
        async with asyncio.timeout(ANSWER_S):
            return await self._answer

    def idle(self, connection: Connection) -> None:
        """Wait for the next request."""

    def answered(self, connection: Connection, asked: Asked, answer: Answer) -> None:
        """Return an answer from ``ask``."""
        self._answer.set_result(answer)

    def lost(self, connection: Connection, asked: Asked | None, error: str) -> None:
        """Return NO_ANSWER from ``ask``; the next request opens another connection."""
        self._connection = None
        if asked is not None:
            self._answer.set_result(Answer(NO_ANSWER, b"", b""))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.transport.close()


class Writer:
    """Writes to random rows through a random replica, one write at a time."""

    def __init__(self, course: Course, rows: Rows) -> None:
        self._course, self._rows = course, rows
        self._clients = [Client(port) for port in course.ports]

    async def run(self) -> None:
        """Write until the end of the run."""
        until = monotonic() + self._course.options.seconds
        while monotonic() < until:
            key = random.randrange(len(self._course.ids))
            if key in self._rows.rest_s:
                await self._look_at_rest(key)
            else:
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
            status = await self._send(key, "PATCH", value_of(found.head, b"etag: ").decode())
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
        await asyncio.sleep(random.uniform(0, 2 * self._course.options.pause_s))

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
        self._rows.last_number += 1
        course, number = self._course, self._rows.last_number
        path, headers = f"/content/{course.ids[key]}", f"If-Match: {tag}\r\n" if tag else ""
        if method == "POST":
            path, headers = "/content", f"Idempotency-Key: {course.run}-{key}\r\n"
        body = b"" if method == "DELETE" else self._body(number, method)
        sent_s = monotonic()
        request = Request(path, headers.encode(), method=method, body=body)
        replica, answer = await self._ask(request)
        answered_s = monotonic()  # before anything else: from here on the old row is too old
        told = value_of(answer.head, b"etag: ").decode()
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


async def run_writers(course: Course) -> Rows:
    """Write until the end of the run."""
    rows = Rows(course, [""] * len(course.ids))
    await asyncio.gather(*(Writer(course, rows).run() for _ in range(course.options.writers)))
    return rows
