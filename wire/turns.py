"""The state of a connection: which request has its turn, and how and when the connection ends.

It ends after a last answer, by a refusal, when its client has finished sending or is silent for too
long, or when its client does not take the answers. ``strict.py`` parses the requests.
"""

import asyncio
import math
from collections.abc import Sized
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from wire.limits import SLOW_READER, UNSENT_FREE_BYTES, Wire, bound_unsent, refusal

LINGER_S = 1.0
"""How long bytes that arrive behind a last answer are read and dropped."""


class Turn(RequestResponseCycle):
    """Takes the place of uvicorn's cycle for a request that is answered without ASGI.

    Each connection has one. It is complete, except while such a request waits for its answer.
    """

    response_started = disconnected = False
    response_complete = keep_alive = True
    message_event = asyncio.Event()  # no handler waits for it

    def __init__(self) -> None:
        pass


class _Flow(FlowControl):
    """Flow control that ignores ``resume_reading`` while requests or bytes are ``waiting``.

    uvicorn's cycle resumes reading for each message of a body. Later bytes, and the client's end,
    would then come while nothing can be done with them.
    """

    def __init__(self, transport: asyncio.Transport, *waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not any(self._waiting):
            super().resume_reading()


class TurnsProtocol(HttpToolsProtocol):
    """One connection of ``app.state.wire``; a subclass parses the bytes that arrive.

    uvicorn's cycles take it for their transport: ``close`` lingers where the transport's own would
    reset the connection.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire: Wire = self.app.state.wire
        self._limits = self._wire.limits
        self.headers, self.url = [], b""  # the parent sets them with the first request
        self._turn = Turn()
        self.cycle = self._turn  # of the newest request
        self._running: RequestResponseCycle = self._turn  # of the request being answered
        self._unread = bytearray()  # unparsed bytes; reading is paused unless it is empty
        self._charged_bytes = self._unsent_bytes = 0  # taken from the budget for requests, answers
        self._within = ""  # the part of a request that the parser is in: head, body or none
        self._ended = False  # the client has finished sending
        self._refused = False  # later bytes are dropped
        self._lingering: asyncio.TimerHandle | None = None
        # by the loop's clock: the end of an idle connection, of the time to arrive, the next look
        self._idle_until_s, self._due_s, self._looks_s = 0.0, 0.0, math.inf
        self._timer: asyncio.TimerHandle | None = None  # the only one: it calls ``look``

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self._limits.connections_max:
            self.transport = transport
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline, self._unread)
        self.write, self.is_closing = transport.write, transport.is_closing
        self._wire.connections.set(len(self.connections))
        transport.set_write_buffer_limits(high=UNSENT_FREE_BYTES)
        bound_unsent(transport, self._limits.arrival_s)
        self._idle_until_s = self.loop.time() + self._limits.arrival_s
        self.look_by(self._idle_until_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, TimeoutError):
            self._wire.refusals[SLOW_READER].inc()
        self.cycle = self._running  # the parent tells one request; the newest may not run yet
        for timer in filter(None, (self._lingering, self._timer)):
            timer.cancel()
        super().connection_lost(exc)
        self._wire.connections.set(len(self.connections))
        self._charge(0, 0)
        self._unread.clear()
        # request and protocol refer to each other; the garbage collector would free them late
        self.cycle = self._running = self._turn
        self.pipeline.clear()

    def pause_writing(self) -> None:
        """Charge answers that the client does not take, or end the connection if that is too much.

        The transport calls this above UNSENT_FREE_BYTES, which the kernel does not take at once.
        """
        super().pause_writing()
        unsent = self.transport.get_write_buffer_size()
        if unsent > self._wire.left_bytes:
            self._wire.refusals[SLOW_READER].inc()
            self.transport.abort()
        else:
            self._charge(self._charged_bytes, unsent)

    def resume_writing(self) -> None:
        self._charge(self._charged_bytes, 0)
        super().resume_writing()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the answers to requests that arrived whole.

        A client may close its sending side and still read (RFC 9112, 9.6); a client that is gone
        resets.
        """
        self._ended = True
        self.end()
        return not self.transport.is_closing()

    def shutdown(self) -> None:
        """Close when the server ends. Requests that are not parsed yet are not answered."""
        if self._unread and self._is_idle():
            self.close()
        else:
            super().shutdown()

    def end(self) -> None:
        """Close the connection of a client that has finished sending, once it has its answers."""
        if self._lingering is not None or self._is_answered():
            self.transport.close()
        elif self._within:  # the rest of the request will never arrive
            self.refuse(HTTPStatus.BAD_REQUEST)

    def refuse(self, status: HTTPStatus) -> None:
        """End the connection with a response of this status."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._unread.clear()
        self._charge(0, self._unsent_bytes)
        self._wire.refusals[status].inc()
        if self.pipeline or (self._within == "head" and not self._is_idle()):
            # earlier requests are answered; then the connection closes without this response
            if self._within != "head":
                self.pipeline.popleft()  # the refused request: its head was good, its body not
            last = self.pipeline[0][0] if self.pipeline else self._running
            last.keep_alive = False
            self.flow.pause_reading()
        elif self._running.response_started and not self._running.response_complete:
            self.transport.close()  # nothing else may be written before the end of an answer
        else:
            if self._within != "body" or not self._is_idle():  # else its answer was sent
                self.cycle.disconnected = True  # for its handler, whose answer is dropped
                self.cycle.message_event.set()
                is_told = self.url and not self._is_answered()  # the method of this request
                is_head = is_told and self.parser.get_method() == b"HEAD"
                defaults = self.server_state.default_headers
                self.transport.write(refusal(status, defaults, is_head=bool(is_head)))
            if self not in self.connections or self._ended:  # no linger above the maximum
                self.transport.close()
            else:
                self.linger()

    def close(self) -> None:
        """Close after a last answer; linger if the client still sends, or may have sent more."""
        if self._ended or not (self._within or self.flow.read_paused):
            self.transport.close()
        else:
            self._refused = True
            self._unread.clear()
            self.pipeline.clear()  # requests behind a last answer are not answered
            self.linger()

    def linger(self) -> None:
        """Close after LINGER_S.

        To close with unread bytes resets the connection, perhaps before the client has read the
        answer (RFC 9112, 9.6).
        """
        self.transport.write_eof()
        self.flow.resume_reading()
        self._lingering = self.loop.call_later(LINGER_S, self.transport.close)

    def answered(self) -> None:
        """Note that an answer was sent and the connection stays open.

        The timer is hardly ever moved, because that costs more than a ``look`` at the clock.
        """
        self._idle_until_s = due_s = self.loop.time() + self.timeout_keep_alive
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
        self._looks_s = math.inf
        if self.transport.is_closing() or not (self._within or self._is_idle()):
            return  # until the answer
        if self.flow.read_paused:  # the client waits for us
            self._due_s = self._idle_until_s = self.loop.time() + self._limits.arrival_s
        due_s = self._due_s if self._within else self._idle_until_s
        if self.loop.time() < due_s:
            self.look_by(due_s)
        elif self._is_answered():
            self.transport.close()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _is_idle(self) -> bool:
        """Return whether no request of this connection waits for its answer."""
        return self.cycle.response_complete and not self.pipeline

    def _is_answered(self) -> bool:
        """Return whether every complete head is answered, and no other head has begun.

        The rest of a body may follow.
        """
        return self._within != "head" and self._is_idle()

    def _charge(self, size: int, unsent: int) -> None:
        """Take from the budget the bytes held now, for requests and for unsent answers."""
        self._wire.left_bytes += self._charged_bytes + self._unsent_bytes - size - unsent
        self._charged_bytes, self._unsent_bytes = size, unsent
