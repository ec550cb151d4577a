"""An open-loop load generator: requests leave when they are due, whatever the answers do.

A latency counts from the moment at which the request was due, so a server that stands still is as
slow as its users find it (no coordinated omission). Where the generator itself was late, the result
says so. Times in a schedule are seconds from its begin; leaving is as exact as a timer, some 1 ms.

    with offered(server.host, server.port, paced(requests, 500)) as result:
        server.pause()
    print(result.tally("hover", deadline_s=1.0))
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from math import inf

from bench.load.loop import CONNECTIONS, GIVE_UP_S, SWEEP_S, Loop
from bench.load.result import Result
from bench.load.wire import Asked, Request

Schedule = Iterable[tuple[float, Request]]

LEAST_SLEEP_S = 0.001  # uvloop's clock has milliseconds, and below half of one it spins
BATCH = 64


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


class OpenLoop(Loop):
    """A load that sends what ``schedule`` says when it says so."""

    def __init__(
        self,
        host: str,
        port: int,
        schedule: Schedule,
        *,
        connections: int = CONNECTIONS,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        super().__init__(host, port, connections=connections, give_up_s=give_up_s)
        self._schedule = schedule
        self._stopping = False

    def stop(self) -> None:
        """Send nothing more, and wait for the answers; may be called from any thread."""
        self._stopping = True

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
            self.leave(Asked(request, due_s, -early_s))
            sent += 1
            if sent % BATCH == 0:  # far behind: let the answers be read as well
                await asyncio.sleep(0)


class ClosedLoop(Loop):
    """A load of as many requests at a time as there are connections, for ``seconds`` at most.

    It finds what a server can do, and says nothing of how long its users wait.
    """

    def __init__(
        self, host: str, port: int, requests: Iterator[Request], seconds: float, connections: int
    ) -> None:
        super().__init__(host, port, connections=connections)
        self._requests, self._seconds = requests, seconds
        self._slots = asyncio.Semaphore(connections)

    async def _ask(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self._seconds == inf else self._seconds):
                for request in self._requests:
                    await self._slots.acquire()
                    self.leave(Asked(request, time.monotonic(), 0.0))

    def _ended(self) -> None:
        self._slots.release()


def closed(
    host: str, port: int, requests: Iterator[Request], seconds: float, connections: int
) -> Result:
    """Run a closed load to its end."""
    return ClosedLoop(host, port, requests, seconds, connections).to_end()


@contextmanager
def offered(
    host: str,
    port: int,
    schedule: Schedule,
    *,
    connections: int = CONNECTIONS,
    give_up_s: float = GIVE_UP_S,
) -> Iterator[Result]:
    """Keep a block under load, from a thread; the load ends with the block at the latest."""
    load = OpenLoop(host, port, schedule, connections=connections, give_up_s=give_up_s)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            load.to_end()
        except BaseException as error:  # noqa: BLE001 - it belongs to the block's thread
            raised.append(error)

    thread = threading.Thread(target=run, name="load")
    thread.start()
    try:
        yield load.result
    finally:
        load.stop()
        thread.join()
    if raised:
        raise raised[0]
