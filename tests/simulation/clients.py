"""The clients of a schedule: they ask the replicas what users would, one request at a time.

A request is what the onion and the handlers make of it, below HTTP: the caches are looked up, then
the store is asked, and an error has its HTTP status. The deadline is the middleware's.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from cache.keys import genre_key, row_key
from cache.reads import Answer
from db.version import Expected, etag
from db.video import Changes, parse_draft
from errors import ServiceError
from tests.simulation.judge import Judge
from tests.simulation.plan import Act
from tests.simulation.records import Read, Write, data_of, layer_of, told
from tests.simulation.replica import CONFIG, Replica
from tests.simulation.simulator import Simulator
from tests.simulation.truth import operation

DRAFT = parse_draft({"title": "A row that changes", "genres": ["Drama"], "isMovie": True})
ANY = Expected()
NEVER = 99
"""The number of a row that no client writes."""


def id_of(key: int) -> str:
    """The id of a row; the same in every schedule."""
    return f"{key:08x}-0000-4000-8000-000000000000"


class Client:
    """Carries out ``acts`` in order. ``find`` gives a replica by its number, or None if nobody
    listens there now; ``number`` gives each operation its number; ``ended`` is called once."""

    def __init__(
        self,
        name: int,
        acts: list[Act],
        simulator: Simulator,
        judge: Judge,
        find: Callable[[int], Replica | None],
        number: Callable[[], int],
        ended: Callable[[], None],
    ) -> None:
        self.name = name
        self._is_done = ended
        self._acts = iter(acts)
        self._simulator, self._judge = simulator, judge
        self._find, self._number = find, number
        self._versions: dict[int, str | None] = {}
        self._last_post: dict[int, tuple[int, tuple[str, ...]]] = {}
        self._replica: Replica | None = None
        self._under_way: list[Read] | Write | None = None

    def go_on(self) -> None:
        """Plan the next operation."""
        act = next(self._acts, None)
        if act is None:
            self._is_done()
        else:
            self._simulator.after(act.pause_s, self._begin, act)

    def _begin(self, act: Act) -> None:
        replica = self._find(act.replica)
        if replica is None:
            self._judge.counts["nobody there"] += 1
            self.go_on()
            return
        self._replica = replica
        replica.loop.deliver(self._start, replica, act)

    def _start(self, replica: Replica, act: Act) -> None:
        number = self._number()
        if act.kind in ("read", "list"):
            work = self._read(replica, act)
        elif act.kind == "several":
            work = self._read_several(replica, act)
        else:
            work = self._write(replica, act, number)
        operation.set(number)
        replica.loop.create_task(work).add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception():
            self._simulator.errors.append(("error", f"client {self.name}: {task!r}"))
        self._replica = self._under_way = None
        self.go_on()

    def lost(self, replica: Replica) -> None:
        """The process that it waits for has ended; there will be no answer."""
        if self._replica is not replica:
            return
        if isinstance(self._under_way, Write):
            self._under_way.status = -1
        for read in self._under_way if isinstance(self._under_way, list) else ():
            self._judge.read_fails(read, self._simulator.now_s, 0)
        self._replica = self._under_way = None
        self.go_on()

    # reads

    async def _read(self, replica: Replica, act: Act) -> None:
        genre = act.genres[0] if act.genres else ""
        key = genre_key(genre) if genre else row_key(id_of(act.key))
        subject = genre or id_of(act.key)
        judge, now = self._judge, replica.loop.time
        read = judge.read_begins(subject, self.name, replica.life, now())
        self._under_way = [read]
        self._say(replica, f"{act.kind} {subject[:8]} begins")
        try:
            async with asyncio.timeout(CONFIG.read_deadline_s):
                answer = await self._answer(replica, act, key, genre)
        except (ServiceError, TimeoutError) as error:
            status = getattr(error, "status", 504)
            self._say(replica, f"{act.kind} {subject[:8]}: {status}")
            judge.read_fails(read, now(), status)
            return
        if not genre:
            self._row_ends(replica, read, act.key, answer)
            return
        layer, found = layer_of(answer), data_of(answer)
        ids = tuple(found[genre]) if found else ()
        self._say(replica, f"list {genre} from {layer}: {[each[:8] for each in ids]}")
        judge.list_ends(read, now(), layer, ids)

    def _row_ends(self, replica: Replica, read: Read, key: int, answer: Answer) -> None:
        layer, found, subject = layer_of(answer), data_of(answer), id_of(key)
        version = found["lastupdated"] if found else None
        self._versions[key] = version
        self._say(replica, f"read {subject[:8]} from {layer}: {version and version[:8]}")
        self._judge.read_ends(read, replica.loop.time(), layer, version)

    async def _read_several(self, replica: Replica, act: Act) -> None:
        """Read two rows at once, and one that never was; each is judged as if it were alone."""
        judge, now = self._judge, replica.loop.time
        keys = act.key, act.key ^ 1, NEVER
        ids = [id_of(key) for key in keys]
        reads = [judge.read_begins(each, self.name, replica.life, now()) for each in ids]
        self._under_way = [*reads]
        self._say(replica, "several begins")
        try:
            async with asyncio.timeout(CONFIG.read_deadline_s):
                answers = await replica.videos.videos(ids)
        except (ServiceError, TimeoutError) as error:
            status = getattr(error, "status", 504)
            self._say(replica, f"several: {status}")
            for read in reads:
                judge.read_fails(read, now(), status)
            return
        judge.counts["several"] += 1
        for key, read, answer in zip(keys, reads, answers, strict=True):
            self._row_ends(replica, read, key, answer)

    async def _answer(self, replica: Replica, act: Act, key: str, genre: str) -> Answer:
        """As the middleware, then the handler."""
        found = await replica.videos.cached(key)
        if found is not None:
            return found
        if genre:
            return await replica.videos.genre(genre)
        return await replica.videos.video(id_of(act.key))

    # writes

    async def _write(self, replica: Replica, act: Act, number: int) -> None:
        judge, now = self._judge, replica.loop.time
        kind = self._kind(act)
        write = Write(number, kind, id_of(act.key), replica.life, now())
        self._under_way = write
        judge.write_begins(write)
        self._say(replica, f"{kind} {number} of {write.subject[:8]} begins")
        version: str | None = None
        try:
            async with asyncio.timeout(CONFIG.write_deadline_s):
                version = await self._do(replica, act, kind, write)
            status = 201 if kind in ("post", "again") else 200
        except (ServiceError, TimeoutError) as error:
            status = getattr(error, "status", 504)
        except asyncio.CancelledError:  # the process gives up what has no end in sight
            if not replica.is_stopping:
                raise
            status = 504
        self._say(replica, f"{told(write)} -> {status}".replace(f": {write.status} ->", ":"))
        if status in (200, 201):
            self._versions[act.key] = version
        judge.write_ends(write, now(), status, version)

    def _kind(self, act: Act) -> str:
        """What to do instead of what would fail for sure."""
        if act.kind == "again":
            return "again" if act.key in self._last_post else "post"
        is_there = self._judge.truth.rows[id_of(act.key)][-1].version is not None
        if act.is_conditional or is_there == (act.kind != "post"):
            return act.kind
        return "patch" if is_there else "post"

    async def _do(self, replica: Replica, act: Act, kind: str, write: Write) -> str | None:
        """Returns the version that the answer names."""
        number = write.number
        video_id, videos = id_of(act.key), replica.videos
        if kind in ("post", "again"):
            genres = act.genres or ("Drama",)
            first = number
            if kind == "again":
                first, genres = self._last_post[act.key]
            self._last_post[act.key] = first, genres
            values = DRAFT | {"duration": first, "genres": list(genres)}
            row = await videos.create(video_id, values, f"hash {first}")
            return str(row["lastupdated"])
        seen = self._versions.get(act.key)
        expected = ANY
        if act.is_conditional and seen is not None:
            expected = Expected(etag({"lastupdated": seen}))
        if kind == "delete":
            written = await videos.delete(video_id, expected)
            assert written.before is not None
            write.before = str(written.before["lastupdated"])
            return None
        values = {"duration": number}
        if act.genres:
            values["genres"] = list(act.genres)
        written = await videos.update(video_id, Changes(values), expected)
        assert written.before is not None
        assert written.after is not None
        write.before = str(written.before["lastupdated"])
        if expected is not ANY and write.before != seen:
            self._judge.convict("condition did not hold", told(write))
        return str(written.after["lastupdated"])

    def _say(self, replica: Replica, text: str) -> None:
        if self._simulator.steps is not None:
            self._simulator.say(f"client {self.name} at {replica.name}: {text}")
