"""What an open and a closed load share: connections, and the outcome of each request."""

from __future__ import annotations

import asyncio
import errno
import time
from collections import deque
from functools import partial
from math import nan

import uvloop

from bench.load.result import Line, Outcome, Result
from bench.load.wire import Answer, Asked, Connection, Request, value_of

CONNECTIONS = 256
GIVE_UP_S = 10.0
SWEEP_S = 0.2
ERRORS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EADDRNOTAVAIL: "no port",
    errno.EMFILE: "no descriptor",
}


class Loop:
    """The connections of a load, and the outcome of each of its requests.

    Connections are opened when they are needed, up to ``connections``; further requests wait, and
    the wait counts. A request without an answer ``give_up_s`` after it was due is given up.
    """

    def __init__(
        self, host: str, port: int, *, connections: int = CONNECTIONS, give_up_s: float = GIVE_UP_S
    ) -> None:
        self.result = Result()
        self._host, self._port = host, port
        self._connections, self._give_up_s = connections, give_up_s
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._waiting: deque[Asked] = deque()
        self._opening: set[asyncio.Task[None]] = set()

    def to_end(self) -> Result:
        """Run the load here and now, for callers without an event loop."""
        return uvloop.run(self.run())

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
        raise NotImplementedError

    def leave(self, asked: Asked) -> None:
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
                name = ERRORS.get(error.errno or 0, "reset")
                self._note(self._waiting.popleft(), 0, error=name)

    async def _sweep(self) -> None:
        """Give up the requests that are too old, again and again."""
        while True:
            await asyncio.sleep(SWEEP_S)
            limit = time.monotonic() - self._give_up_s
            while self._waiting and self._waiting[0].due_s < limit:
                self._note(self._waiting.popleft(), 0, error="unanswered")
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
            self._note(asked, 0, error=error)
        self._open()

    def answered(self, connection: Connection, asked: Asked, answer: Answer) -> None:
        """Note an answer, with the layer and the time that its headers say."""
        status, head, _ = answer
        detail = value_of(head, b"cache-status: ").rpartition(b"detail=")[2]
        if b"collapsed" in head:
            detail = b"collapsed"
        served = value_of(head, b"server-timing: total;dur=")
        self._note(
            asked,
            status,
            detail=detail.decode("latin-1"),
            is_wrong=not _is_expected(asked.request, answer),
            served_s=float(served) / 1000 if served else nan,
        )

    def _note(
        self,
        asked: Asked,
        status: int,
        *,
        detail: str = "",
        is_wrong: bool = False,
        error: str = "",
        served_s: float = nan,
    ) -> None:
        outcome = Outcome(asked.request.kind, status, detail, is_wrong, error)
        latency_s = time.monotonic() - asked.due_s
        self.result.add(Line(asked.due_s, latency_s, served_s, asked.slip_s, outcome))
        self._ended()

    def _ended(self) -> None:
        """Hear of the end of a request."""


def _is_expected(request: Request, answer: Answer) -> bool:
    try:
        return request.expect is None or request.expect(answer)
    except Exception:  # noqa: BLE001 - it is counted
        return False
