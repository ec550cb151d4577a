"""A ring under load: what each node says of itself, and every request that failed, with its time.

``ask`` speaks to one node and no other, which the driver takes care not to do.
"""

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from typing import Any, BinaryIO, NamedTuple

import orjson

from bench.lab.servers import CassandraNode, ServerError
from config import Config
from db.cassandra.store import CassandraStore
from db.catalog.generator import Generator
from db.version import Expected, new_id
from db.video import Changes
from tests.db.cassandra_world import ask_until_answered
from tests.db.samples import draft

ONE, ALL = 0x0001, 0x0005
_ERROR, _STARTUP, _QUERY, _ROWS = 0x00, 0x01, 0x07, 2
_WITHOUT_METADATA, _WARNED = 0x02, 0x08
READS_PER_S, READS_A_LIFE, READS_A_PAGE = 300, 60, 30


def ask(node: CassandraNode, cql: str, consistency: int = ONE) -> list[list[bytes]]:
    """The cells with which this very node answers; ServerError with its words when it refuses."""
    text = cql.encode()
    query = struct.pack(">I", len(text)) + text
    query += struct.pack(">HB", consistency, _WITHOUT_METADATA)
    version = b"\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0"
    with socket.create_connection((node.host, node.port), timeout=60) as connection:
        answers = connection.makefile("rb")
        for opcode, body in ((_STARTUP, version), (_QUERY, query)):
            connection.sendall(struct.pack(">BBhBI", 0x04, 0, 0, opcode, len(body)) + body)
            answer = _answer(answers)
    return _cells(answer)


def _answer(answers: BinaryIO) -> bytes:
    head = answers.read(9)
    if len(head) < 9:
        raise ConnectionError("the node hung up")
    _, flags, _, opcode, size = struct.unpack(">BBhBI", head)
    body = answers.read(size)
    if flags & _WARNED:
        warnings, at = int.from_bytes(body[:2], "big"), 2
        for _ in range(warnings):
            at += 2 + int.from_bytes(body[at : at + 2], "big")
        body = body[at:]
    if opcode == _ERROR:
        raise ServerError(body[6:].decode(errors="replace"))
    return body


def _cells(body: bytes) -> list[list[bytes]]:
    """A result without metadata and pages; empty when it is not one of rows."""
    if len(body) < 16 or int.from_bytes(body[:4], "big") != _ROWS:
        return []
    _, _, columns, rows = struct.unpack_from(">IIII", body)
    at, cells = 16, []
    for _ in range(rows * columns):
        (size,) = struct.unpack_from(">i", body, at)
        cells.append(body[at + 4 : at + 4 + max(size, 0)])
        at += 4 + max(size, 0)
    return [cells[start : start + columns] for start in range(0, len(cells), columns)]


async def count(ring: Sequence[CassandraNode], table: str) -> int:
    """How many rows there are; not before every node sees every other one up again."""
    cql = f"SELECT COUNT(*) FROM {table}"
    async with asyncio.timeout(90):
        while True:
            try:
                found = [await asyncio.to_thread(ask, node, cql, ALL) for node in ring]
            except (ServerError, OSError):
                await asyncio.sleep(0.2)
                continue
            (number,) = {int.from_bytes(row[0], "big") for (row,) in found}
            return number


def config_of_ring(
    ring: Sequence[CassandraNode], hosts: Sequence[str] = (), **settings: Any
) -> Config:
    return Config(
        cassandra_host=tuple(hosts) or tuple(node.host for node in ring),
        cassandra_port=ring[0].port,
        **settings,
    )


async def filled(store: CassandraStore, rows: int) -> dict[str, bytes]:
    """Loads so many rows; the bytes of each by id."""
    found = {}
    for stored in Generator(1, "generated").rows(rows):
        for ask_store in (
            (lambda each=stored: store.load([each])),
            (lambda each=stored: store.video(each.row["id"])),
        ):
            row = await ask_until_answered(ask_store)
        found[stored.row["id"]] = orjson.dumps(row)
    return found


async def bearable(store: CassandraStore, known: Sequence[str], seconds: float = 3.0) -> float:
    """Reads a second that this machine, with whoever else is on it, bears with ease; at most
    READS_PER_S. Java is slow at what it does for the first time, so the last second counts."""
    end = time.monotonic() + seconds

    async def reads_at_last() -> int:
        done = 0
        for video_id in cycle(known):
            if time.monotonic() > end:
                break
            await ask_until_answered(partial(store.video, video_id))
            done += end - time.monotonic() < 1
        return done

    done = sum(await asyncio.gather(*(reads_at_last() for _ in range(4))))
    return max(30.0, min(READS_PER_S, done / 4))


class Failure(NamedTuple):
    """A request that failed: when it began and how long it took, in seconds, and the reason."""

    began: float
    taken: float
    what: str
    why: str


class Load:
    """Reads of known rows, pages, and lives of other rows, due at fixed times however late the
    answers are.

    ``kept`` are the rows whose last write was acknowledged, ``failed`` the requests that failed or
    read other bytes than before.
    """

    def __init__(self, store: CassandraStore, known: dict[str, bytes], reads_per_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self.failed: list[Failure] = []
        self.kept: dict[str, bytes] = {}
        self._store = store
        self._known = list(known.items())
        self.reads_per_s = reads_per_s
        self._stopping = False

    def failed_in(self, what: str, since: float, until: float = float("inf")) -> list[Failure]:
        """Those that began between two moments of the monotonic clock; ``write``: all of these."""
        kinds = {"create", "update", "delete"} if what == "write" else {what}
        return [f for f in self.failed if f.what in kinds and since <= f.began < until]

    async def run(self) -> None:
        due = time.monotonic()
        async with asyncio.TaskGroup() as requests:
            number = 0
            while not self._stopping:
                requests.create_task(self._read(*self._known[number % len(self._known)]))
                if number % READS_A_PAGE == 0:
                    after = self._known[number % len(self._known)][0]
                    requests.create_task(self._noted("page", self._store.ids(after, 7)))
                if number % READS_A_LIFE == 0:
                    requests.create_task(self._live(keep=number % (2 * READS_A_LIFE) == 0))
                number += 1
                due += 1 / self.reads_per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        self._stopping = True

    async def _read(self, video_id: str, expected: bytes) -> None:
        row = await self._noted("read", self._store.video(video_id))
        if row is not None and orjson.dumps(row) != expected:
            self.failed.append(Failure(time.monotonic(), 0, "read", "other bytes"))

    async def _live(self, keep: bool) -> None:
        video_id = new_id()
        row = await self._noted("create", self._store.create(video_id, draft("ring"), None))
        if row is None:
            return
        changes = Changes({"title": "Changed"})
        update = self._store.update(video_id, changes, Expected())
        written = await self._noted("update", update)
        if written is None:
            return
        if keep:
            self.kept[video_id] = orjson.dumps(written.after)
        else:
            await self._noted("delete", self._store.delete(video_id, Expected()))

    async def _noted(self, what: str, request: Awaitable[Any]) -> Any:
        began = time.monotonic()
        try:
            answer = await request
        except Exception as error:  # noqa: BLE001 - each is evidence
            taken = time.monotonic() - began
            why = f"{type(error).__name__} of {type(error.__cause__).__name__}"
            self.failed.append(Failure(began, taken, what, why))
            return None
        self.counts[what] += 1
        return answer


@asynccontextmanager
async def loaded(store: CassandraStore, known: dict[str, bytes]) -> AsyncIterator[Load]:
    """A block under load; at its end every acknowledged write is looked for."""
    load = Load(store, known, await bearable(store, list(known)))
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.stop()
        await running
    for video_id, expected in load.kept.items():
        assert orjson.dumps(await store.video(video_id)) == expected
