"""uvicorn's protocol with limits. By itself uvicorn accepts 20 MB of headers and waits forever.

The protocol refuses, in the service's envelope, and then ends the connection for:

- a request without exactly one valid ``Host``;
- a request whose head, or whose body's framing, is above the limits;
- a request that takes too long to arrive;
- a request for which the worker's memory budget has no room;
- a connection above the maximum.

No more than the limits is buffered. A client that does not take its answers loses its connection
without a response, and at once if the budget has no room for a large answer. An offer to upgrade is
ignored, and the body behind it is kept.
"""

from __future__ import annotations

import asyncio
import math
import socket
from contextlib import suppress
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, NoReturn

import httptools

from middleware.deadline import ARRIVED
from wire.limits import FIELD_BYTES, FREE_BYTES, SLOW_READER, Wire, is_host, refusal
from wire.turns import PIECE_BYTES, TurnsProtocol

KERNEL_UNSENT_BYTES = 65_536
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class StrictProtocol(TurnsProtocol):
    """One connection, within the limits of ``app.state.wire``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._wire: Wire = self.app.state.wire
        self._limits = self._wire.limits
        self._charged_bytes = 0  # taken from the budget for requests
        self._unsent_bytes = 0  # taken from the budget for answers
        self.headers, self.url = [], b""  # the parent sets them with the first request
        self._begun = 0  # requests that began in the data being parsed
        self._in_head = self._offered = self._silent = False
        # of the newest request: its headers, all bytes behind its first piece, its body
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._has_body = False
        self._method = ""
        self._host = b""
        self._due_s = 0.0  # the end of the time to arrive, by the loop's clock
        self._cause = HTTPStatus.BAD_REQUEST  # of an error of the parser

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self._limits.connections_max:
            self.transport = transport
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        super().connection_made(transport)
        self._wire.connections.set(len(self.connections))
        _bound_unsent(transport, self._limits.arrival_s)
        self._silent = True  # no request has begun: ``look`` closes the connection at ``_due_s``
        self._due_s = self.loop.time() + self._limits.arrival_s
        self.look_by(self._due_s)

    def connection_lost(self, exc: Exception | None) -> None:
        if isinstance(exc, TimeoutError):
            self._wire.refused(SLOW_READER)
        self._charge(0)
        self._give_back_unsent()
        super().connection_lost(exc)
        self._wire.connections.set(len(self.connections))

    def pause_writing(self) -> None:
        """Charge answers that the client does not take, or end the connection if that is too much.

        The transport calls this above 64 KiB, which ordinary answers never reach.
        """
        super().pause_writing()
        unsent = self.transport.get_write_buffer_size()
        if unsent > self._wire.left_bytes:
            self._wire.refused(SLOW_READER)
            self.transport.abort()
        else:
            self._unsent_bytes = unsent
            self._wire.left_bytes -= unsent

    def resume_writing(self) -> None:
        self._give_back_unsent()
        super().resume_writing()

    def _give_back_unsent(self) -> None:
        self._wire.left_bytes += self._unsent_bytes
        self._unsent_bytes = 0

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # the rest of a refused request: if parsed, it would be executed
        self._begun = 0
        super().data_received(data)
        if not self._between:
            self.look_by(self._due_s)
        if self._charged_bytes or self._held_bytes() > FREE_BYTES:
            self._hold()

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
            self.refuse(self._cause)
            return False
        return True

    def on_message_begin(self) -> None:
        self._between = self._offered = self._silent = False
        self._in_head = True
        self._begun += 1
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._due_s = self.loop.time() + self._limits.arrival_s
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.target_max_bytes:
            self._fail(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer, which the service ignores
        value = value.strip(b" \t")  # blanks around it do not belong to it (RFC 9110, 5.5)
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)
        most = self._limits
        if self._head_bytes > most.head_max_bytes or len(self.headers) > most.headers_max:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._due_s = self.loop.time() + self._limits.arrival_s
        self._method = self.parser.get_method().decode("ascii")
        hosts = 0
        self._has_body = False
        for name, value in self.headers:
            if name == b"host":
                hosts += 1 if value == self._host or is_host(value) else 2
                # a value that repeats is not checked again; an invalid one ends the connection
                self._host = value
            elif name in _FRAMING:
                self._has_body = True
                if name == b"transfer-encoding" and value.lower() != b"chunked":
                    self._fail(HTTPStatus.BAD_REQUEST)  # the service decodes no other coding
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._fail(HTTPStatus.BAD_REQUEST)  # RFC 9112, 3.2
        if self._method == "CONNECT":
            self._fail(HTTPStatus.NOT_IMPLEMENTED)
        self._in_head = False
        self._offered = self.parser.should_upgrade()
        if not self._offered:  # at an offer the parser stops before the body; ``_decline`` goes on
            self.start_request()

    def start_request(self) -> None:
        """Start the request, whose head is complete and within the limits."""
        self.scope[ARRIVED] = self._due_s - self._limits.arrival_s  # type: ignore[literal-required]
        super().on_headers_complete()
        if self._has_body:  # the last answer may come before the body
            write, is_closing = self.transport.write, self.transport.is_closing
            leaving = SimpleNamespace(write=write, is_closing=is_closing, close=self.leave)
            self.cycle.transport = leaving  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._offered:
            self._between = True
            super().on_message_complete()

    def refuse(self, status: HTTPStatus) -> None:
        """End the connection with a response of this status."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True  # later bytes are dropped
        self._charge(0)
        self._wire.refused(status)
        if self.pipeline or (self._in_head and not self._is_idle()):
            # earlier requests are answered; then the connection closes without this response
            if not self._in_head:
                self.pipeline.popleft()  # the refused request: its head was good, its body not
            last = self.pipeline[0][0] if self.pipeline else self._running
            if last is not None:
                last.keep_alive = False
            self.flow.pause_reading()
            return
        if self._is_answering():
            self.transport.close()
            return
        if not self._is_idle():
            self.cycle.disconnected = True  # its handler sees a disconnect; its answer is dropped
            self.cycle.message_event.set()
        self.transport.write(refusal(status, self.server_state.default_headers))
        if self not in self.connections or self._ended:  # no linger above the maximum
            self.transport.close()
        else:
            self.linger()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._charged_bytes:
            self._hold()

    def _held_bytes(self) -> int:
        """Return the bytes held for the newest request and the unparsed bytes behind it."""
        arrived = max(self._head_bytes + self._body_bytes, self._fed_bytes)
        fields = FIELD_BYTES * len(self.headers)
        return arrived + len(self.url) + fields + len(self._unread)

    def _hold(self) -> None:
        """Reserve room for the bytes held for requests without an answer; forget a large one."""
        is_held = not self._is_answered() and not self._refused  # a body behind its answer is not
        self._reserve(self._held_bytes() if is_held else 0)
        if not self.is_busy() and self._held_bytes() > FREE_BYTES:
            # forget the request, so that an idle connection has no charge
            self._head_bytes = self._body_bytes = self._fed_bytes = 0
            self.headers, self.url, self._host = [], b"", b""
            self.scope = self.cycle = self._running = None  # type: ignore[assignment]

    def _reserve(self, size: int) -> None:
        """Charge the bytes above FREE_BYTES to the budget; end the connection if it has no room."""
        size = max(0, size - FREE_BYTES)
        if size - self._charged_bytes > self._wire.left_bytes:
            self._unread = b""
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._charge(size)

    def _charge(self, size: int) -> None:
        self._wire.left_bytes += self._charged_bytes - size
        self._charged_bytes = size

    def _decline(self, rest: bytes) -> None:
        """Ignore an offer to upgrade (RFC 9110, 7.8), and parse the request again without it.

        ``rest`` is its body, which the parser took for the other protocol's bytes.
        """
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b" % (self._method.encode(), self.url, version)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
        fields = [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        self._between = True
        self.data_received(b"\r\n".join((line, *fields, b"", b"")) + rest)

    def _is_answered(self) -> bool:
        """Return whether every complete head is answered, and no other head has begun.

        The rest of a body may follow.
        """
        return not self._in_head and self._is_idle()

    def end(self) -> None:
        if self._lingering is not None or (self._is_answered() and not self._between):
            self.transport.close()
        elif self._between:
            super().end()
        else:  # the rest of the request will never arrive
            self.refuse(HTTPStatus.BAD_REQUEST)

    def look(self) -> None:
        self._looks_s = math.inf
        if self.transport.is_closing():
            return
        is_idle = self._between and not self._silent
        if is_idle and self.is_busy():
            return  # until the answer
        if self.flow.read_paused:
            self._due_s = self.loop.time() + self._limits.arrival_s  # the client waits for us
        due_s = self._answered_s + self.timeout_keep_alive if is_idle else self._due_s
        if self.loop.time() < due_s:
            self.look_by(due_s)
        elif self._silent or self._is_answered():
            self.transport.close()
        else:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _count_framing(self, size: int) -> None:
        """Count ``size`` bytes of a request that began earlier.

        Refuse too many beside its body: a head without an end, chunk sizes and extensions,
        trailers. A chunk of one byte takes six.
        """
        self._fed_bytes += size
        most = self._limits.head_max_bytes + 8 * self._body_bytes
        if self._fed_bytes > most and not self._between:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _fail(self, status: HTTPStatus) -> NoReturn:
        """Leave the parser's callback. The parser passes no cause on, so ``_cause`` keeps it."""
        self._cause = status
        raise httptools.HttpParserError(status.phrase)


def _bound_unsent(transport: asyncio.Transport, seconds: float) -> None:
    """Let the kernel end a connection whose client takes no bytes for ``seconds``.

    Such a client is gone or does not read. A closed connection with unsent answers ends so, too.
    The kernel keeps little beyond what it may send, so that the transport counts nearly all bytes
    of an unsent answer. The answer stays in memory whole until its last byte is sent.
    """
    with suppress(AttributeError, OSError):  # no TCP socket, or not Linux
        ms = max(1, int(seconds * 1_000))  # 0 would be the kernel's default
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, ms)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_UNSENT_BYTES)
