"""uvicorn's protocol with limits. By itself uvicorn accepts 20 MB of headers and waits forever.

The protocol refuses, in the service's envelope, and then ends the connection for:

- a request without exactly one valid ``Host``;
- a request whose head, or whose body's framing, is above the limits;
- a request that takes too long to arrive;
- a request for which the worker's memory budget has no room;
- a connection above the maximum.

uvicorn parses every request as soon as its bytes arrive, and makes objects of some 80 times their
size. It resumes reading with each answer, so a client that sends and does not read can take a
gigabyte. Here the bytes behind a waiting request are not parsed. Pipelined requests that the lane
answers at once are parsed piece by piece, one piece in a turn of the loop, so that other
connections get their turns. Reading pauses meanwhile, so most of these bytes stay in the kernel's
buffers.

No more than the limits is buffered. A client that does not take its answers loses its connection
without a response, and at once if the budget has no room for a large answer. An offer to upgrade is
ignored, and the body behind it is kept.
"""

from http import HTTPStatus
from typing import Any, NoReturn

import httptools

from middleware.admission import ARRIVED
from wire.limits import FIELD_BYTES, FREE_BYTES, QUEUED_BYTES, is_host
from wire.turns import TurnsProtocol

PIECE_BYTES = 4_096
"""Parse at most this many bytes at once, more than most requests have. This bounds how many
pipelined requests can be queued, or answered in one turn of the loop: some 60 near hits in 1 ms."""


class StrictProtocol(TurnsProtocol):
    """One connection, within the limits of ``app.state.wire``."""

    # of the newest request: its headers, all bytes behind its first piece, its body
    _head_bytes = _fed_bytes = _body_bytes = 0
    _begun = 0  # requests that began in this turn
    _goes_on = False  # ``_go_on`` is scheduled

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # the rest of a refused request: if parsed, it would be executed
        self._unread += data
        self._begun = 0
        while self._unread and not self.pipeline and self._begun < 2:
            piece = bytes(self._unread[:PIECE_BYTES])
            del self._unread[:PIECE_BYTES]
            self.flow.resume_reading()  # if no bytes are left; a large body may pause it again
            self._feed(piece)
        if self._unread:
            self.flow.pause_reading()
            if not (self.pipeline or self._goes_on):
                self._goes_on = True
                self.loop.call_soon(self._go_on)
        if self._within:
            self.look_by(self._due_s)
        if self._charged_bytes or self._held_bytes() > FREE_BYTES:
            self._hold()

    def _go_on(self) -> None:
        self._goes_on = False
        if not self.transport.is_closing():
            self.data_received(b"")

    def _feed(self, piece: bytes) -> None:
        if self._within:
            self._fed_bytes += len(piece)  # or 0, if another request begins in ``piece``
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade as offer:
            self._decline(piece[offer.args[0] :])
            return
        except httptools.HttpParserError:
            self.refuse(HTTPStatus.BAD_REQUEST)  # unless ``_fail`` has refused
            return
        # beside a body: a head without an end, which reaches no callback, chunk sizes and
        # extensions, trailers; a chunk takes five bytes beside its own, and 0.3 us
        framing_bytes = self._fed_bytes - self._body_bytes
        most = self._limits.head_max_bytes + self._body_bytes // 64
        if self._within and framing_bytes > most:
            self.refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._within = "head"
        self._begun += 1
        self._head_bytes = self._fed_bytes = self._body_bytes = 0
        self._due_s = self.loop.time() + self._limits.arrival_s
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.target_max_bytes:
            self._fail(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._within != "head":
            return  # a trailer, which the service ignores
        value = value.strip(b" \t")  # blanks around it do not belong to it (RFC 9110, 5.5)
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)
        most = self._limits
        if self._head_bytes > most.head_max_bytes or len(self.headers) > most.headers_max:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        now = self.scope[ARRIVED] = self.loop.time()  # type: ignore[literal-required]
        self._due_s = now + self._limits.arrival_s
        codings = {value.lower() for name, value in self.headers if name == b"transfer-encoding"}
        if codings - {b"chunked"}:
            self._fail(HTTPStatus.BAD_REQUEST)  # the service decodes no other coding
        hosts = [value for name, value in self.headers if name == b"host"]
        is_told = len(hosts) == 1 and is_host(hosts[0])
        if not is_told and (hosts or self.parser.get_http_version() == "1.1"):
            self._fail(HTTPStatus.BAD_REQUEST)  # RFC 9112, 3.2
        if self.parser.get_method() == b"CONNECT":
            self._fail(HTTPStatus.NOT_IMPLEMENTED)
        if not self.parser.should_upgrade():  # else it stops before the body; ``_decline`` goes on
            self.start_request()
        self._within = "body"  # not before, because uvicorn may find the target wrong

    def start_request(self) -> None:
        """Start the request, whose head is complete and within the limits."""
        super().on_headers_complete()
        self.cycle.transport = self  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._within = ""
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the next request, or parse the bytes behind the last one.

        The parent's method is replaced, because it makes and cancels a timer with every answer.
        """
        if self.transport.is_closing():
            return
        self.answered()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if not self.pipeline and (self._unread or self.flow.read_paused):
            self.flow.resume_reading()
            self.data_received(b"")
        if self._ended:
            self.end()
        if self._charged_bytes:
            self._hold()

    def _held_bytes(self) -> int:
        """Return the bytes held for the newest request, for queued ones, and for unparsed bytes."""
        arrived = max(self._head_bytes + self._body_bytes, self._fed_bytes)
        lists: list[Any] = [self.headers, *(each.scope["headers"] for each, _ in self.pipeline)]
        objects = FIELD_BYTES * sum(map(len, lists)) + QUEUED_BYTES * len(self.pipeline)
        return arrived + len(self.url) + objects + len(self._unread)

    def _hold(self) -> None:
        """Charge the bytes above FREE_BYTES that are held for requests without an answer.

        End the connection if the budget has no room, and drop all queued requests but the oldest,
        because they are the memory that is missing. Forget a large request that was answered.
        """
        is_held = not self._is_answered() and not self._refused  # a body behind its answer is not
        held = self._held_bytes() if is_held else len(self._unread)
        size = max(0, held - FREE_BYTES)
        if size - self._charged_bytes > self._wire.left_bytes:
            while len(self.pipeline) > 1:
                self.pipeline.popleft()
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._charge(size, self._unsent_bytes)
        if not self._within and self._is_idle() and self._held_bytes() > FREE_BYTES:
            # so that an idle connection has no charge
            self._head_bytes = self._body_bytes = self._fed_bytes = 0
            self.headers, self.url = [], b""
            self.scope = None  # type: ignore[assignment]
            self.cycle = self._running = self._turn

    def _decline(self, rest: bytes) -> None:
        """Ignore an offer to upgrade (RFC 9110, 7.8), and parse the request again without it.

        ``rest`` is its body, which the parser took for the other protocol's bytes.
        """
        version = self.parser.get_http_version().encode()
        line = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn
        fields = [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        self._within = ""
        self._unread[:0] = b"\r\n".join((line, *fields, b"", rest))

    def _fail(self, status: HTTPStatus) -> NoReturn:
        """Refuse the request, and leave the parser's callback."""
        self.refuse(status)
        raise httptools.HttpParserError(status.phrase)
