"""An open-loop load generator: requests leave when they are due, whatever the answers do.

A latency counts from the moment at which the request was due, so a server that stands still is as
slow as its users find it (no coordinated omission). Times in a schedule are seconds from its begin.
"""

import asyncio
import errno
import random
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from math import inf, nan
from typing import Any

import uvloop

from bench.load.result import Line, Result
from bench.load.wire import Answer, Asked, Connection, Request, value_of

Schedule = Iterable[tuple[float, Request]]

CONNECTIONS = 256
GIVE_UP_S = 10.0
SWEEP_S = 0.2
LEAST_SLEEP_S = 0.001  # uvloop's clock has milliseconds, and below half of one it spins
BATCH = 64
ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EADDRNOTAVAIL: "no port",
    errno.EMFILE: "no descriptor",
}


def paced(
    requests: Iterable[Request], rate_s: float, seconds: float = inf, *, poisson: bool = True
) -> Iterator[tuple[float, Request]]:
    """Yield ``rate_s`` requests a second, as independent users send them, or evenly."""
    due_s = 0.0
    for request in requests:
        due_s += random.expovariate(rate_s) if poisson else 1 / rate_s
        if due_s >= seconds:
            return
        yield due_s, request


class OpenLoop:
    """A load that sends each request of ``schedule`` when it is due, and notes how it ends.

    Connections are opened when they are needed, up to ``connections``; further requests wait, and
    the wait counts. A request without an answer ``give_up_s`` after it was due is given up.
    """

    def __init__(
        self,
        host: str,
        port: int,
        schedule: Schedule,
        *,
        connections: int = CONNECTIONS,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self.result = Result()
        self._host, self._port, self._schedule = host, port, schedule
        self._connections, self._give_up_s = connections, give_up_s
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._waiting: deque[Asked] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._stopping = False

    def to_end(self) -> Result:
        """Run the load here and now, for callers without an event loop."""
        return uvloop.run(self.run())

    def stop(self) -> None:
        """Send nothing more, and wait for the answers; may be called from any thread."""
        self._stopping = True

    async def run(self) -> Result:
        """Run the load to the last answer."""
        self.result.began_s = time.monotonic()
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self._ask()
            while self._waiting or any(each.asked for each in self._all):  # noqa: ASYNC110 - bounded
                await asyncio.sleep(0.01)
        finally:
            for task in (sweeping, *self._opening):
                task.cancel()
            for connection in self._all.copy():
                connection.transport.abort()
            await asyncio.sleep(0)
        return self.result

    async def _ask(self) -> None:
        began_s, sent = self.result.began_s, 0
        for due_s, request in self._schedule:
            due_s += began_s
            while (early_s := due_s - time.monotonic()) > 0 and not self._stopping:
                # in short naps, so that ``stop`` is heard
                await asyncio.sleep(min(max(early_s, LEAST_SLEEP_S), SWEEP_S))
                sent = 0
            if self._stopping:
                return
            self._leave(Asked(request, due_s, -early_s))
            sent += 1
            if sent % BATCH == 0:  # far behind: let the answers be read as well
                await asyncio.sleep(0)

    def _leave(self, asked: Asked) -> None:
        """Send a request, now or as soon as a connection is free."""
        while self._free:
            connection = self._free.pop()  # the latest: the others may be let go
            if not connection.transport.is_closing():
                connection.send(asked)
                return
        self._waiting.append(asked)
        self._open()

    def _open(self) -> None:
        opening = len(self._opening)
        if opening < len(self._waiting) and opening + len(self._all) < self._connections:
            task = asyncio.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(partial(Connection, self), self._host, self._port)
        except OSError as error:
            if self._waiting:
                self._fail(self._waiting.popleft(), ERRORS.get(error.errno or 0, "reset"))

    async def _sweep(self) -> None:
        """Give up the requests that are too old, again and again."""
        while True:
            await asyncio.sleep(SWEEP_S)
            limit = time.monotonic() - self._give_up_s
            while self._waiting and self._waiting[0].due_s < limit:
                self._fail(self._waiting.popleft(), "unanswered")
            for each in self._all.copy():
                if each.asked is not None and each.asked.due_s < limit:
                    each.give_up("unanswered")
            self._open()

    def idle(self, connection: Connection) -> None:
        """Use a connection that is new, or has its answer."""
        self._all.add(connection)
        if self._waiting:
            connection.send(self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: Connection, asked: Asked | None, error: str) -> None:
        """Note the end of a connection, and of the request that was on it."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if asked is not None:
            self._fail(asked, error)
        self._open()

    def answered(self, connection: Connection, asked: Asked, answer: Answer) -> None:
        """Note an answer, with the layer and the time that its headers say."""
        head, request = answer.head, asked.request
        detail = value_of(head, b"cache-status: ").rpartition(b"detail=")[2].decode("latin-1")
        if b"collapsed" in head:
            detail = "collapsed"
        served = value_of(head, b"server-timing: total;dur=")
        served_s = float(served) / 1000 if served else nan
        try:
            is_wrong = request.expect is not None and not request.expect(answer)
        except Exception:  # noqa: BLE001 - it is counted
            is_wrong = True
        self._note(asked, served_s, answer.status, detail, is_wrong, "")

    def _fail(self, asked: Asked, error: str) -> None:
        self._note(asked, nan, 0, "", False, error)

    def _note(
        self, asked: Asked, served_s: float, status: int, detail: str, is_wrong: bool, error: str
    ) -> None:
        times_s = asked.due_s, time.monotonic() - asked.due_s, served_s, asked.slip_s
        self.result.append(Line(*times_s, asked.request.kind, status, detail, is_wrong, error))


class ClosedLoop(OpenLoop):
    """A load of as many requests at a time as there are connections, for ``seconds`` at most. It
    finds what a server can do, and says nothing of how long its users wait."""

    def __init__(
        self, host: str, port: int, requests: Iterable[Request], seconds: float, connections: int
    ) -> None:
        super().__init__(host, port, (), connections=connections)
        self._requests, self._seconds = requests, None if seconds == inf else seconds
        self._slots = asyncio.Semaphore(connections)

    async def _ask(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                for request in self._requests:
                    await self._slots.acquire()
                    self._leave(Asked(request, time.monotonic(), 0.0))

    def _note(self, asked: Asked, *outcome: Any) -> None:
        super()._note(asked, *outcome)
        self._slots.release()


@contextmanager
def offered(
    host: str, port: int, schedule: Schedule, *, connections: int = CONNECTIONS
) -> Iterator[Result]:
    """Keep a block under load, from a thread; the load ends with the block at the latest."""
    load = OpenLoop(host, port, schedule, connections=connections)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(load.to_end)
        try:
            yield load.result
        finally:
            load.stop()
    running.result()
