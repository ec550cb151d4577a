"""The requests of a connection take turns, and those that wait cost no more than their bytes.

uvicorn makes a task's whole surroundings of every request as soon as its bytes are there, some 80
times their size, and reads on with each answer: a client that asks and does not read takes a
gigabyte so. Here what follows a request that waits stays bytes, and the kernel's where it can.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

PIECE_BYTES = 4_096
"""What is parsed at a time, larger than most requests: so many may wait that a piece has."""

LINGER_S = 1.0
"""For that long what comes behind a last answer is read and dropped."""


class _Flow(FlowControl):
    """Reads nothing while requests wait, whoever wants to read on."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class Leaving:
    """The transport of a request with a body: it closes by ``TurnsProtocol.leave``."""

    def __init__(self, protocol: TurnsProtocol) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.close = protocol.leave


class TurnsProtocol(HttpToolsProtocol):
    """One connection, of which ``feed`` gets what arrives, piece by piece."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: RequestResponseCycle | None = None
        self._unread = b""  # behind requests that wait
        self._between = True  # the parser has no unfinished request
        self._ended = False  # the client has finished sending
        self._refused = False  # whatever arrives is dropped
        self._lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            # the parent tells only the newest, which may still wait for its turn
            running.disconnected = True
            running.message_event.set()
        if self._lingering is not None:
            self._lingering.cancel()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # which the parent leaves when the end is an error
        self._unread = b""
        # a cycle holds us by its transport: the collector would find both, but much later
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
        """Parses the piece at ``start``; False when nothing behind it is to be parsed any more."""
        raise NotImplementedError

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the answers to requests that arrived whole. A client may close
        its sending side and still read (RFC 9112, 9.6); a client that is gone resets."""
        self._ended = True
        self.end()
        return not self.transport.is_closing()

    def end(self) -> None:
        """Close the connection of a client that has finished sending, once it has its answers."""
        if not self.is_busy():
            self.transport.close()

    def is_busy(self) -> bool:
        """Return whether a request is under way, however little of it arrived."""
        raise NotImplementedError

    def leave(self) -> None:
        """Close after an answer, also to a request of which a part has still to arrive."""
        if self._between or self._ended:
            self.transport.close()
        else:
            self._refused = True
            self.pipeline.clear()  # no request behind a last answer gets one
            self.flow.resume_reading()
            self.linger()

    def linger(self) -> None:
        """Close after LINGER_S. Closed at once with bytes unread, a client would be reset before
        it reads the answer (RFC 9112, 9.6)."""
        self.transport.write_eof()
        self._lingering = self.loop.call_later(LINGER_S, self.transport.close)

    def answered(self) -> None:
        """An answer has left, and the connection goes on."""
        raise NotImplementedError

    def on_response_complete(self) -> None:
        """In place of the parent's, which makes and cancels a timer with every answer."""
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
        """Whether no request of this connection waits for its answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _is_answering(self) -> bool:
        """Whether a part of an answer was sent: nothing else can be said before its end."""
        cycle = self._running
        return cycle is not None and cycle.response_started and not cycle.response_complete
