"""uvicorn's protocol with what it leaves open on the wire closed.

A request without exactly one ``Host``, with a head or a framing of its body above the limits, or
that takes too long to arrive, is refused in the service's envelope and its connection ends, before
more than the limits is buffered (uvicorn accepts 20 MB of headers, and waits for ever). An offer to
upgrade is passed by without losing the body behind it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, NoReturn

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

TARGET_MAX_BYTES = 8_192
HEAD_MAX_BYTES = 16_384
HEADERS_MAX = 100
ARRIVAL_S = 10.0  # for a head, and again for a body
_MESSAGES = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read",
    HTTPStatus.NOT_IMPLEMENTED: "This is no proxy",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The request target is too long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's head is too large",
}


class StrictProtocol(HttpToolsProtocol):
    """One connection, within limits."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._between = True  # the parser has no unfinished request
        self._begun = 0  # requests that began in what is being parsed
        self._in_head = self._offered = self._silent = False
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._method = ""
        self._due_s = 0.0
        self._arrival: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._refusal = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent = True  # until a first byte: a connection that says nothing ends, too
        self._due_s = self.loop.time() + ARRIVAL_S
        self._await_arrival()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
        running = self._running
        if running is not None and not running.response_complete:
            # the parent tells only the newest, which may still wait for its turn
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        between = self._between
        self._begun = 0
        self._silent = False
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
            if not between and not self._begun:
                self._count_framing(len(data))  # a header that never ends reaches no callback
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        else:
            if not self._between:
                self._await_arrival()

    def on_message_begin(self) -> None:
        self._between = self._offered = False
        self._in_head = True
        self._begun += 1
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._due_s = self.loop.time() + ARRIVAL_S
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > TARGET_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing here has a use for one
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._due_s = self.loop.time() + ARRIVAL_S
        self._method = self.parser.get_method().decode("ascii")
        hosts = sum(name == b"host" for name, _ in self.headers)
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
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._offered:
            self._between = True
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Ends the connection with ``_refusal`` in the envelope; uvicorn's name for it."""
        if self.transport.is_closing():
            return
        if self.pipeline or (self._in_head and not self._is_idle()):
            # what was asked before is answered first, and then the connection ends
            if not self._in_head:
                self.pipeline.popleft()  # the refused one itself: its head was good, its body not
            last = self.pipeline[0][0] if self.pipeline else self._running
            if last is not None:
                last.keep_alive = False
            self.flow.pause_reading()
            return
        status = self._refusal
        body = orjson.dumps({"status": "failed", "message": _MESSAGES[status]})
        head = (
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
            b"content-length: %d\r\nconnection: close\r\n"
        ) % (status, status.phrase.encode(), len(body))
        defaults = b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)
        self.transport.write(head + defaults + b"\r\n" + body)
        self.transport.close()

    def _is_idle(self) -> bool:
        """Whether no request of this connection waits for its answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _is_answering(self) -> bool:
        cycle = self._running
        return cycle is not None and cycle.response_started and not cycle.response_complete

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

    def _look(self) -> None:
        self._arrival = None
        if self.transport.is_closing() or not (self._silent or not self._between):
            return
        if self.loop.time() < self._due_s:
            self._await_arrival()
        elif self._silent or (
            self.cycle is not None
            and self.cycle.response_started
            and not self.cycle.response_complete
        ):
            self.transport.close()
        else:
            self._refusal = HTTPStatus.REQUEST_TIMEOUT
            self.send_400_response("")

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _count_framing(self, size: int) -> None:
        """What frames a body, chunk by chunk, is a head by another name."""
        self._fed_bytes += size
        if self._fed_bytes > HEAD_MAX_BYTES + 8 * self._body_bytes and not self._between:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> NoReturn:
        """Leaves the parser, which passes on that a callback failed but not why."""
        self._refusal = status
        raise httptools.HttpParserError(status.phrase)
