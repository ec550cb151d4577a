"""The event loop of one simulated process, in virtual time.

A process has a loop of its own, because a process can be paused, be killed, or have a wrong clock
while the others go on. ``simulator.py`` has the clock that moves them all.
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.simulator import Simulator

EPOCH_S = 1_800_000_000.0
"""The wall clock's time when a schedule begins; the monotonic clock starts at ``BOOT_S``."""
BOOT_S = 1_000.0

Call = Callable[..., object]


def _nothing() -> None:
    pass


class Timer(asyncio.TimerHandle):
    """A handle that is cheaper to make than asyncio's, because a schedule makes thousands."""

    __slots__ = ()

    def __init__(
        self,
        when_s: float,
        callback: Call,
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: Context | None,
    ) -> None:
        self._when = when_s
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = copy_context() if context is None else context
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = _nothing
        self._args = ()


class ProcessLoop(asyncio.BaseEventLoop):
    """The event loop of one simulated process.

    While ``paused``, timers and input are kept back. ``resume`` runs the timers first or the input
    first: uvloop does the former, asyncio the latter. A ``dead`` loop ignores everything.
    """

    def __init__(
        self, simulator: "Simulator", name: str, number: int = 0, wall_offset_s: float = 0.0
    ) -> None:
        # not BaseEventLoop's own: it is slow, and all of it is replaced here
        self.simulator, self.name, self.number = simulator, name, number
        self.wall_offset_s = wall_offset_s
        self.paused = self.dead = False
        self.ready: deque[Timer] = deque()
        self.is_queued = False  # to be run at this moment
        self._late_timers: list[Timer] = []
        self._unread: list[Timer] = []

    def __del__(self) -> None:
        """There is nothing to close."""

    def time(self) -> float:
        return self.simulator.now_s

    def wall_s(self) -> float:
        """The time of day by this process's clock."""
        return EPOCH_S - BOOT_S + self.simulator.now_s + self.wall_offset_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.dead

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Any, *, context: Context | None = None, **ignored: Any
    ) -> asyncio.Task[Any]:
        return Task(coro, loop=self, context=context)

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Timer:  # type: ignore[override]  # wider
        handle = Timer(0.0, callback, args, self, context)
        self.ready.append(handle)
        if not self.is_queued:
            self.is_queued = True
            self.simulator.runnable.append(self)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Timer:
        return self.call_at(self.simulator.now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Timer:
        handle = Timer(when, callback, args, self, context)
        self.simulator.at(when, self._due, handle)
        return handle

    def _due(self, handle: Timer) -> None:
        if handle._cancelled or self.dead:
            return
        if self.paused:
            self._late_timers.append(handle)
            return
        self.ready.append(handle)
        if not self.is_queued:
            self.is_queued = True
            self.simulator.runnable.append(self)

    def deliver(self, callback: Call, *args: Any) -> None:
        """Input from outside: a socket became readable, or the driver has an answer."""
        if self.dead:
            return
        if self.paused:
            self._unread.append(Timer(0.0, callback, args, self, None))
        else:
            self.call_soon(callback, *args)

    def turn(self) -> None:
        """Run everything that was ready when the turn began, as one turn of a real loop does."""
        if self.paused or self.dead:
            self.is_queued = False
            return
        ready, simulator = self.ready, self.simulator
        if simulator.running is not self:
            simulator.running = self
            events._set_running_loop(self)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            try:
                handle._context.run(handle._callback, *handle._args)
            except Exception as error:  # noqa: BLE001 - as asyncio's own handles do
                self.call_exception_handler({"exception": error})
        if ready:
            simulator.runnable.append(self)
        else:
            self.is_queued = False

    def pause(self) -> None:
        self.paused = True

    def resume(self, *, timers_first: bool) -> None:
        self.paused = False
        first, second = self._late_timers, self._unread
        if not timers_first:
            first, second = second, first
        self.ready.extend(first)
        self.ready.extend(second)
        self._late_timers, self._unread = [], []
        if not self.is_queued:
            self.is_queued = True
            self.simulator.runnable.append(self)

    def kill(self) -> None:
        self.dead = True
        self.ready.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """An error that nobody caught is a finding, unless the process was killed."""
        if self.dead or self.simulator.is_over:
            return
        is_unclaimed = "never retrieved" in str(context.get("message"))
        kind = "an error that nobody retrieved" if is_unclaimed else "error"
        text = str(context.get("exception") or context)
        self.simulator.errors.append((kind, f"{self.name}: {text}"))

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.call_exception_handler(context)

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:
        """A name has one address: itself."""
        return [(2, 1, 6, "", (host, port))]

    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        return await self.simulator.connect(self, protocol_factory, (host, port))


class Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address, so that a seed decides it."""

    _numbers = count()
    _number: int

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            self._number = next(Task._numbers)
            return self._number
