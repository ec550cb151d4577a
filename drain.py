"""Drain: after SIGTERM the service goes on answering for a while, and asks clients to disconnect.

A load balancer needs that time to notice, or it sends its next requests into closed connections.
Meanwhile ``/readyz`` answers 503, and every answer has ``Connection: close``. Only an answer to a
CORS preflight lacks it, because Starlette makes that answer.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("content")

AGAIN_S = 1.0
"""A SIGTERM sooner than this after the first counts as the same. If a whole process group is
stopped, a worker gets one directly, and one from its parent, which looks every 0.5 s."""


class Drain:
    """``active`` is True from the first SIGTERM on. The server gets it ``seconds`` later."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.active = False
        self._seconds = seconds

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Handle SIGTERM in place of the server's own handler within the block.

        A second SIGTERM, ``AGAIN_S`` after the first or later, ends the drain at once.
        """
        loop = asyncio.get_running_loop()
        server = signal.getsignal(signal.SIGTERM)
        is_main = threading.current_thread() is threading.main_thread()
        if not callable(server) or not is_main or self._seconds <= 0:
            yield  # no drain is wanted, or uvicorn does not run this app in a main thread
            return
        may_end_at = 0.0

        def told() -> None:
            nonlocal may_end_at
            if not self.active:
                self.active, may_end_at = True, loop.time() + AGAIN_S
                logger.info("drain begins: not ready, and answering for %g s more", self._seconds)
                loop.call_later(self._seconds, end)
            elif loop.time() >= may_end_at:
                end()

        def end() -> None:
            if loop.remove_signal_handler(signal.SIGTERM):  # else the drain has ended before
                signal.signal(signal.SIGTERM, server)  # at once, as the default action kills
                logger.info("drain is over: no new connections from now on")
                server(signal.SIGTERM, None)

        loop.add_signal_handler(signal.SIGTERM, told)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, server)
