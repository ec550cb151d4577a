"""The writers of ``lives.py``: requests, imports, and the ends of services, all drawn at random."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import orjson

from bench.consistency.client import NO_ANSWER, Client
from bench.lab.targets import ROOT, Service

WRITERS, KEYS, SHOWS = 4, 4, 3
PAUSE_S = 0.02
IMPORT_S, END_S = 2.0, 5.0
AGAIN_S = 0.05
FORESEEN = (200, 201, 404, 409, 412, 422, 503, 504, NO_ANSWER)


@dataclass(frozen=True)
class Course:
    """``run`` is part of every name; ``settings`` name the store for the importer."""

    run: str
    seed: int
    seconds: float
    kills: bool
    folder: Path
    settings: Mapping[str, str]

    @property
    def genres(self) -> list[str]:
        """The genres of the run."""
        return [f"{self.run} {letter}" for letter in "ABCDE"]


@dataclass
class Outcome:
    """``deleted``: the imported rows whose deletion was acknowledged."""

    statuses: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)
    unforeseen: list[str] = field(default_factory=list)


class Writer:
    """Writes to a random row through a random replica, one request at a time."""

    def __init__(self, course: Course, number: int, ports: Sequence[int], outcome: Outcome) -> None:
        self._course, self._outcome = course, outcome
        self._clients = [Client(port) for port in ports]
        self._random = random.Random(f"{course.seed} writer {number}")
        self._imported: list[str] = []
        self._made: set[str] = set()

    async def run(self) -> None:
        """Write until the end of the run."""
        until = monotonic() + self._course.seconds
        while monotonic() < until:
            await self._step()
            await asyncio.sleep(self._random.uniform(0, 2 * PAUSE_S))
        for client in self._clients:
            await client.close()

    async def _step(self) -> None:
        draw = self._random.random()
        if draw < 0.02:
            await self._learn()
        elif draw < 0.40:
            await self._post()
        elif rows := [*self._imported, *sorted(self._made)]:
            video_id = self._random.choice(rows)
            if draw < 0.75:
                await self._ask("PATCH", f"/content/{video_id}", {"genres": self._genres()})
            elif video_id in self._made or draw < 0.77:  # imported rows do not come back
                status, _ = await self._ask("DELETE", f"/content/{video_id}")
                if status == 200 and video_id in self._imported:
                    self._outcome.deleted.add(video_id)

    async def _post(self) -> None:
        key = f"{self._course.run}-{self._random.randrange(KEYS)}"
        body = {"title": "A row", "isMovie": True, "genres": self._genres()}
        status, answer = await self._ask("POST", "/content", body, f"Idempotency-Key: {key}\r\n")
        if status == 201:
            self._made.add(orjson.loads(answer)["data"]["id"])

    async def _learn(self) -> None:
        """Learn the ids of imported rows, which have another title."""
        _, answer = await self._ask("GET", "/uuids")
        for video_id in orjson.loads(answer or b"{}").get("data") or []:
            status, body = await self._ask("GET", f"/content/{video_id}")
            if status == 200 and orjson.loads(body)["data"]["title"] == "Imported":
                self._imported = sorted({*self._imported, video_id})

    def _genres(self) -> list[str]:
        return self._random.sample(self._course.genres, self._random.randint(1, 3))

    async def _ask(
        self, method: str, path: str, body: object = None, headers: str = ""
    ) -> tuple[int, bytes]:
        while True:
            with suppress(ConnectionRefusedError):  # that replica has ended
                data = orjson.dumps(body) if body else b""
                client = self._random.choice(self._clients)
                status, _, answer = await client.ask(method, path, data, headers)
                self._outcome.statuses[f"{method} {status or 'no answer'}"] += 1
                if status not in FORESEEN:
                    self._outcome.unforeseen.append(f"{method} {path}: {status} {answer!r}")
                return status, answer
            await asyncio.sleep(AGAIN_S)


async def run_course(course: Course, replicas: Sequence[Service]) -> Outcome:
    """Do everything at once, for the seconds of ``course``; then all replicas run."""
    outcome, ports = Outcome(), [each.port for each in replicas]
    writers = (Writer(course, number, ports, outcome).run() for number in range(WRITERS))
    await asyncio.gather(_import(course, outcome), _end(course, replicas, outcome), *writers)
    return outcome


async def _import(course: Course, outcome: Outcome) -> None:
    """Import files in which the same shows have other genres and dates each time."""
    draws, file = random.Random(f"{course.seed} importer"), course.folder / "shows.jsonl"
    until = monotonic() + course.seconds
    while monotonic() < until:
        lines = [
            {
                "show_id": f"s{number}",
                "type": "Movie",
                "title": "Imported",
                "release_year": 2020,
                "date_added": f"2021-09-{draws.randint(10, 28)}",
                "listed_in": ", ".join(draws.sample(course.genres, draws.randint(1, 3))),
            }
            for number in range(SHOWS)
        ]
        file.write_bytes(b"\n".join(map(orjson.dumps, lines)))
        importer = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "db.catalog", "import", file, "--catalogue", course.run),
            cwd=ROOT,
            env={**os.environ, **course.settings},
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        outcome.done[f"import, status {await importer.wait()}"] += 1
        await asyncio.sleep(IMPORT_S)


async def _end(course: Course, replicas: Sequence[Service], outcome: Outcome) -> None:
    """End one replica after the other, in order or by a kill, and start it again."""
    draws = random.Random(f"{course.seed} ends")
    until = monotonic() + course.seconds
    while (left_s := until - monotonic()) > 0:
        await asyncio.sleep(min(left_s, draws.uniform(0, END_S)))
        replica, how = draws.choice(replicas), draws.choice(("stop", "kill"))
        kills = how == "kill" and course.kills
        await asyncio.to_thread(replica.kill if kills else replica.stop)
        outcome.done["kill" if kills else "stop"] += 1
        await asyncio.to_thread(replica.start)
