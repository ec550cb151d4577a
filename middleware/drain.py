"""Drain: after SIGTERM the service answers on for a while, and asks its clients to go.

A balancer needs that time to notice: one that is told nothing sends its next requests into closed
connections. Meanwhile ``/readyz`` is 503 and every answer says ``Connection: close``, but for a
CORS preflight's, which is Starlette's.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

logger = logging.getLogger("content")

AGAIN_S = 1.0
"""A SIGTERM sooner than this after the first is the same one: who stops the whole process group
reaches a worker once himself, and once through its parent, which looks every 0.5 s."""


class Drain:
    """``active`` from the first SIGTERM on, which the server gets ``seconds`` later."""

    def __init__(self, seconds: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self.active = False
        self._seconds = seconds
        self._now = now
        self._told_at = 0.0
        self._is_over = False

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Stands before the server's own handler within the block; a SIGTERM that
        comes ``AGAIN_S`` after the first, or later, hurries."""
        loop = asyncio.get_running_loop()
        server = signal.getsignal(signal.SIGTERM)
        is_main = threading.current_thread() is threading.main_thread()
        if not callable(server) or not is_main or self._seconds <= 0:
            yield  # no server's handler, or no place to put one: run by something else
            return

        def begin() -> None:
            logger.info("drain begins: not ready, and answering for %g s more", self._seconds)
            loop.call_later(self._seconds, end)

        def end() -> None:
            if self._is_over:
                return
            self._is_over = True
            logger.info("drain is over: no new connections from now on")
            server(signal.SIGTERM, None)

        def told(number: int, frame: FrameType | None) -> None:
            if not self.active:
                self.active, self._told_at = True, self._now()
                loop.call_soon_threadsafe(begin)  # a handler may interrupt logging itself
            elif self._now() - self._told_at >= AGAIN_S:
                loop.call_soon_threadsafe(end)

        signal.signal(signal.SIGTERM, told)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, server)
