"""Drain: after SIGTERM the service answers on for a while, and asks its clients to go.

A balancer needs that time to notice: one that is told nothing sends its next requests into closed
connections. Meanwhile ``/readyz`` is 503 and every answer says ``Connection: close``, but for a
CORS preflight's, which is Starlette's.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Drain:
    """``active`` from the first SIGTERM on, which the server gets ``seconds`` later."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.active = False
        self._seconds = seconds

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Stands before the server's own handler within the block; a second SIGTERM hurries."""
        loop = asyncio.get_running_loop()
        server = signal.getsignal(signal.SIGTERM)
        is_main = threading.current_thread() is threading.main_thread()
        if not callable(server) or not is_main or self._seconds <= 0:
            yield  # no server's handler, or no place to put one: run by something else
            return

        def told(number: int, frame: FrameType | None) -> None:
            if self.active:
                server(number, frame)
            else:
                self.active = True
                loop.call_soon_threadsafe(loop.call_later, self._seconds, server, number, None)

        signal.signal(signal.SIGTERM, told)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, server)
