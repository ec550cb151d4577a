"""uvicorn's protocol with what it leaves open on the wire closed.

A request without exactly one valid ``Host``, with a head or a framing of its body above the
limits, or that takes too long to arrive, is refused in the service's envelope and its connection
ends, before more than the limits is buffered (uvicorn accepts 20 MB of headers, and waits for
ever). So is a connection too many, and a request for which the worker's budget of memory has no
room. A client that does not take its answers just loses its connection. An offer to upgrade is
passed by without losing the body behind it.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from http import HTTPStatus
from typing import Any, NoReturn

import httptools

from middleware.deadline import ARRIVED
from wire import limits, refusal
from wire.host import is_host
from wire.turns import PIECE_BYTES, Leaving, TurnsProtocol

_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class StrictProtocol(TurnsProtocol):
    """One connection, within limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        wire = getattr(getattr(self.app, "state", None), "wire", None) or limits.defaults()
        self._metrics: limits.WireMetrics = wire.metrics
        self._budget: limits.Budget = wire.budget
        self._charged_bytes = 0  # to the budget
        self.headers, self.url = [], b""  # which the parent sets with the first request
        # bound here, since some are asked for with every header
        self._connections_max: int = wire.limits.connections_max
        self._target_max_bytes: int = wire.limits.target_max_bytes
        self._head_max_bytes: int = wire.limits.head_max_bytes
        self._headers_max: int = wire.limits.headers_max
        self._arrival_s: float = wire.limits.arrival_s
        self._begun = 0  # requests that began in what is being parsed
        self._in_head = self._offered = self._silent = False
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._has_body = False
        self._method = ""
        self._host = b""
        self._due_s = self._answered_s = 0.0
        self._arrival: asyncio.TimerHandle | None = None
        self._refusal = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self._connections_max:
            self.transport = transport
            self._refusal = HTTPStatus.SERVICE_UNAVAILABLE
            self.send_400_response("")
            return
        super().connection_made(transport)
        self._metrics.connections.set(len(self.connections))
        _bound_unsent(transport, self._arrival_s)
        self._silent = True  # until a request begins: a connection that asks nothing ends, too
        self._due_s = self.loop.time() + self._arrival_s
        self._await_arrival()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
        if isinstance(exc, TimeoutError):
            self._metrics.refused(limits.SLOW_READER)
        self._charge(0)
        super().connection_lost(exc)
        self._metrics.connections.set(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # the rest of what was refused: taken, it would be done after all
        self._begun = 0
        super().data_received(data)
        if not self._between:
            self._await_arrival()
        if self._charged_bytes or self._held_bytes() > limits.FREE_BYTES:
            self._hold()
            self._let_go()

    def feed(self, data: bytes, start: int) -> bool:
        between, begun = self._between, self._begun
        piece = data[start : start + PIECE_BYTES]
        try:
            self.parser.feed_data(piece)
            if not between and self._begun == begun:
                self._count_framing(len(piece))  # a header that never ends reaches no callback
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[start + offer.args[0] :])
            return False
        except httptools.HttpParserError:
            self.send_400_response("")
            return False
        return True

    def on_message_begin(self) -> None:
        self._between = self._offered = self._silent = False
        self._in_head = True
        self._begun += 1
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._due_s = self.loop.time() + self._arrival_s
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._target_max_bytes:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing here has a use for one
        value = value.strip(b" \t")  # blanks around a value are no part of it (RFC 9110, 5.5)
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._head_max_bytes or len(self.headers) > self._headers_max:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._due_s = self.loop.time() + self._arrival_s
        self._method = self.parser.get_method().decode("ascii")
        hosts = 0
        self._has_body = False
        for name, value in self.headers:
            if name == b"host":
                hosts += 1 if value == self._host or is_host(value) else 2
                self._host = value  # of the next request, too, or the connection ends
            elif name in _FRAMING:
                self._has_body = True
                if name == b"transfer-encoding" and value.lower() != b"chunked":
                    self._refuse(HTTPStatus.BAD_REQUEST)  # a coding that nobody here would undo
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refuse(HTTPStatus.BAD_REQUEST)  # RFC 9112, 3.2
        if self._method == "CONNECT":
            self._refuse(HTTPStatus.NOT_IMPLEMENTED)
        self._in_head = False
        self._offered = self.parser.should_upgrade()
        if not self._offered:  # else the parser stops before the body, and ``_decline`` goes on
            self.start_request()

    def start_request(self) -> None:
        """The head is there and within the limits."""
        self.scope[ARRIVED] = self._due_s - self._arrival_s  # type: ignore[literal-required]
        super().on_headers_complete()
        if self._has_body:
            self.cycle.transport = Leaving(self)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._offered:
            self._between = True
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Ends the connection with ``_refusal`` in the envelope; uvicorn's name for it."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True  # what is asked behind it changes nothing
        self._charge(0)
        self._metrics.refused(self._refusal)
        if self.pipeline or (self._in_head and not self._is_idle()):
            # what was asked before is answered first, and then the connection ends
            if not self._in_head:
                self.pipeline.popleft()  # the refused one itself: its head was good, its body not
            last = self.pipeline[0][0] if self.pipeline else self._running
            if last is not None:
                last.keep_alive = False
            self.flow.pause_reading()
            return
        if self._is_answering():
            self.transport.close()
            return
        if not self._is_idle():
            self.cycle.disconnected = True  # its handler may be at it: it waits and says no more
            self.cycle.message_event.set()
        self.transport.write(refusal.render(self._refusal, self.server_state.default_headers))
        if self not in self.connections or self._ended:  # a connection too many keeps no place
            self.transport.close()
        else:
            self.linger()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._charged_bytes:
            self._hold()
            self._let_go()

    def _let_go(self) -> None:
        """Forget a large request once it is answered: nothing is charged while none is asked."""
        if self.is_busy() or self._held_bytes() <= limits.FREE_BYTES:
            return
        self._head_bytes = self._body_bytes = self._fed_bytes = 0
        self.headers, self.url, self._host = [], b"", b""
        self.scope = self.cycle = self._running = None  # type: ignore[assignment]

    def _held_bytes(self) -> int:
        """Return what is held of the newest request, and of what is behind it."""
        arrived = self._head_bytes + self._body_bytes
        if arrived < self._fed_bytes:
            arrived = self._fed_bytes
        fields = limits.FIELD_BYTES * len(self.headers)
        return arrived + len(self.url) + fields + len(self._unread)

    def _hold(self) -> None:
        """Charge what this connection holds to the budget, or end it if that is used up."""
        size = 0
        if not self._is_answered() and not self._refused:  # a body behind its answer is not kept
            size = self._held_bytes()
        size = max(0, size - limits.FREE_BYTES)
        if size - self._charged_bytes > self._budget.left_bytes:
            self._unread = b""
            self._refusal = HTTPStatus.SERVICE_UNAVAILABLE
            self.send_400_response("")
        else:
            self._charge(size)

    def _charge(self, size: int) -> None:
        self._budget.left_bytes += self._charged_bytes - size
        self._charged_bytes = size

    def _decline(self, rest: bytes) -> None:
        """Passes an offer to upgrade by, as a server may (RFC 9110, 7.8): the request is read once
        more without it. The parser would take the body for the other protocol's first bytes."""
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b" % (self._method.encode(), self.url, version)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as its parent does
        fields = [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        self._between = True
        self.data_received(b"\r\n".join((line, *fields, b"", b"")) + rest)

    def _await_arrival(self) -> None:
        """One timer at most, looked at when it fires: most requests arrive at once."""
        if self._arrival is None:
            self._arrival = self.loop.call_at(self._due_s, self._look)

    def answered(self) -> None:
        self._answered_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._arm(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """An answer does not arm the timer anew, which costs more than this look at the clock."""
        self.timeout_keep_alive_task = None
        left_s = self._answered_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0 or self.is_busy():
            self._arm(max(left_s, 1.0))
        else:
            super().timeout_keep_alive_handler()

    def is_busy(self) -> bool:
        """Return whether something is asked that has no answer yet, or about to be."""
        return not (self._between and self._is_idle())

    def _is_answered(self) -> bool:
        """Return whether every request whose head has come has its answer, and no head is under
        way. The rest of a body may follow."""
        return not self._in_head and self._is_idle()

    def end(self) -> None:
        if self._lingering is not None or (self._is_answered() and not self._between):
            self.transport.close()
        elif self._between:
            super().end()
        else:  # the rest of the request will not come
            self.send_400_response("")

    def _arm(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _look(self) -> None:
        self._arrival = None
        if self.transport.is_closing() or not (self._silent or not self._between):
            return
        if self.flow.read_paused:
            self._due_s = self.loop.time() + self._arrival_s  # it is waited for, and not waiting
        if self.loop.time() < self._due_s:
            self._await_arrival()
        elif self._silent or self._is_answered():
            self.transport.close()
        else:
            self._refusal = HTTPStatus.REQUEST_TIMEOUT
            self.send_400_response("")

    def _count_framing(self, size: int) -> None:
        """What frames a body, chunk by chunk, is a head by another name."""
        self._fed_bytes += size
        if self._fed_bytes > self._head_max_bytes + 8 * self._body_bytes and not self._between:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> NoReturn:
        """Leaves the parser, which passes on that a callback failed but not why."""
        self._refusal = status
        raise httptools.HttpParserError(status.phrase)


def _bound_unsent(transport: asyncio.Transport, seconds: float) -> None:
    """Lets the kernel end a connection whose client takes nothing for so long, be it gone or be it
    not reading, also when it is closed and the last answers still wait."""
    with suppress(AttributeError, OSError):  # a socket of another kind, or another kernel
        ms = max(1, int(seconds * 1_000))  # 0 would be the kernel's own patience
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, ms)
