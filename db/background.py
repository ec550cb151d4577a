"""Tasks that outlive the request which began them, and end before the store is closed."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from errors import ServiceError

logger = logging.getLogger("content")

T = TypeVar("T")

HURRY_S = 0.1


class Background:
    """Tasks that are not cancelled together with their caller."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run ``work`` for nobody; its error is logged."""
        task = self._start(work)
        task.add_done_callback(_report)
        return task

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end, even if the caller is cancelled meanwhile."""
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise
        finally:
            del task  # else a reference cycle: task, error, traceback, this frame, task

    async def pause(self, seconds: float) -> None:
        """Sleep; end early once ``close`` has begun, because tasks have little time left then."""
        if self._closing.is_set():
            await asyncio.sleep(min(seconds, HURRY_S))
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)

    async def close(self, patience_s: float) -> None:
        """Let the tasks finish for ``patience_s``, then cancel the rest."""
        self._closing.set()
        deadline = asyncio.get_running_loop().time() + patience_s
        while self._tasks and (left_s := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._tasks, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        while tasks := list(self._tasks):  # a cancelled task may spawn another one
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[Any]) -> None:
    """Log the error of a task that nobody awaits, except a ServiceError, which is no fault."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, ServiceError):
        logger.error("a task has failed that nobody awaits", exc_info=error)
