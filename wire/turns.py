"""Pipelining and keep-alive: requests are answered in turn, and an idle connection is closed.

uvicorn parses every request as soon as its bytes arrive, and makes objects of some 80 times their
size. It resumes reading with each answer, so a client that sends and does not read can take a
gigabyte. Here the bytes behind a waiting request are not parsed. Reading pauses meanwhile, so most
of these bytes stay in the kernel's buffers.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sized
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

PIECE_BYTES = 4_096
"""Parse at most this many bytes at once, more than most requests have. This bounds how many
pipelined requests can be queued."""

LINGER_S = 1.0
"""How long bytes that arrive behind a last answer are read and dropped."""


class _Flow(FlowControl):
    """Flow control that ignores ``resume_reading`` while requests are ``waiting``."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class TurnsProtocol(HttpToolsProtocol):
    """One connection. ``feed`` gets the bytes that arrive, at most PIECE_BYTES at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: RequestResponseCycle | None = None
        self._unread = b""  # unparsed bytes behind waiting requests
        self._between = True  # the parser has no unfinished request
        self._ended = False  # the client has finished sending
        self._refused = False  # later bytes are dropped
        self._lingering: asyncio.TimerHandle | None = None
        self._answered_s = 0.0  # the last answer, by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._looks_s = math.inf  # when the timer calls ``look``; the connection has no other timer

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            # the parent tells only the newest request, which may still wait for its turn
            running.disconnected = True
            running.message_event.set()
        for timer in filter(None, (self._lingering, self._timer)):
            timer.cancel()
        super().connection_lost(exc)
        self._unread = b""
        # request and protocol refer to each other; the garbage collector would free them late
        self.cycle = self._running = None  # type: ignore[assignment]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        if len(data) <= PIECE_BYTES and not self.pipeline:  # nearly always
            self.feed(data, 0)
            return
        for start in range(0, len(data), PIECE_BYTES):
            if self.pipeline:
                self._unread += data[start:]
                return
            if not self.feed(data, start):
                return

    def feed(self, data: bytes, start: int) -> bool:
        """Parse the piece of ``data`` at ``start``. Return False if the rest must not be parsed."""
        raise NotImplementedError

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the answers to requests that arrived whole.

        A client may close its sending side and still read (RFC 9112, 9.6); a client that is gone
        resets.
        """
        self._ended = True
        self.end()
        return not self.transport.is_closing()

    def end(self) -> None:
        """Close the connection of a client that has finished sending, once it has its answers."""
        if not self.is_busy():
            self.transport.close()

    def is_busy(self) -> bool:
        """Return whether a request has no answer yet, or has not arrived completely."""
        return not (self._between and self._is_idle())

    def leave(self) -> None:
        """Close after a last answer; linger if a part of its request has still to arrive."""
        if self._between or self._ended:
            self.transport.close()
        else:
            self._refused = True
            self.pipeline.clear()  # requests behind a last answer are not answered
            self.flow.resume_reading()
            self.linger()

    def linger(self) -> None:
        """Close after LINGER_S.

        To close with unread bytes resets the connection, perhaps before the client has read the
        answer (RFC 9112, 9.6).
        """
        self.transport.write_eof()
        self._lingering = self.loop.call_later(LINGER_S, self.transport.close)

    def answered(self) -> None:
        """Note that an answer was sent and the connection stays open.

        The timer is hardly ever moved, because that costs more than a ``look`` at the clock.
        """
        self._answered_s = self.loop.time()
        due_s = self._answered_s + self.timeout_keep_alive
        if due_s < self._looks_s:
            self.look_by(due_s)

    def look_by(self, when_s: float) -> None:
        """Call ``look`` at ``when_s`` by the loop's clock, unless it is called sooner."""
        if when_s < self._looks_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._looks_s = self.loop.call_at(when_s, self.look), when_s

    def look(self) -> None:
        """Close a connection that was idle, or took to send a request, for too long."""
        raise NotImplementedError

    def on_response_complete(self) -> None:
        """Start the next request, then parse the bytes behind it.

        The parent's method is replaced, because it makes and cancels a timer with every answer.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.answered()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self._unread and not self.pipeline and not self.transport.is_closing():
            unread, self._unread = self._unread, b""
            self.data_received(unread)
        if self._ended:
            self.end()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _is_idle(self) -> bool:
        """Return whether no request of this connection waits for its answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _is_answering(self) -> bool:
        """Return whether an answer was begun; nothing else may be written before its end."""
        cycle = self._running
        return cycle is not None and cycle.response_started and not cycle.response_complete
