"""uvicorn's protocol, stricter and with a fast lane.

Stricter: a request without exactly one ``Host``, or with a head above the limits, is refused in
the service's envelope before it is buffered (uvicorn itself accepts 20 MB of headers). Faster:
what the near cache has is written here (``lane.py`` says when that is the same thing).
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, NoReturn

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cache.entry import Entry
from lane import Lane, is_ordinary
from middleware.cache_lookup import MISSED

TARGET_MAX_BYTES = 8_192
HEAD_MAX_BYTES = 16_384
HEADERS_MAX = 100
UNSENT_MAX_BYTES = 65_536
_MESSAGES = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The request target is too long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's head is too large",
}


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        state = getattr(self.app, "state", None)
        # an access log has a line a request, which is the ordinary way's to write
        self._lane: Lane | None = None if self.access_log else getattr(state, "lane", None)
        self._between = True  # the parser has no unfinished request
        self._begun = 0
        self._in_head = False
        self._laned = False  # answered by the lane, so its end is not for the parent
        self._is_plain = False  # nothing in its headers bears on its answer
        self._head_bytes = 0
        self._plain = b""  # the headers of the last request that only its line could change
        self._last_s = 0.0
        self._asked = self._missed = self._closing = False
        self._held = b""
        self._refusal = HTTPStatus.BAD_REQUEST

    def data_received(self, data: bytes) -> None:
        if self._asked:  # one request at a time goes through the lane
            self._held += data
            self.flow.pause_reading()
            return
        if self._between and self._plain and self._is_idle():
            line, _, headers = data.partition(b"\r\n")
            same = headers == self._plain and line[:4] == b"GET " and line[-9:] == b" HTTP/1.1"
            if same and (self._respond("GET", line[4:-9], None) or self._ask(line[4:-9], data)):
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        between = self._between
        self._begun = 0
        self._unset_keepalive_if_required()
        try:
            if not between and self._in_head:
                self._count(len(data))  # a header that never ends reaches no callback
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an offer, which a server is free to pass by (RFC 9110, 7.8)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if between and self._between and self._is_plain and self._begun == 1:
            # exactly one request, from its first byte to its last: what follows its first line
            # was found plain, and the same bytes will be again
            self._plain = data.partition(b"\r\n")[2]

    def on_message_begin(self) -> None:
        self._between = self._laned = self._is_plain = False
        self._in_head = True
        self._begun += 1
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > TARGET_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > HEADERS_MAX:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._missed:
            self.scope[MISSED] = True  # type: ignore[literal-required]
        version = self.parser.get_http_version()
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and version == "1.1"):
            self._refuse(HTTPStatus.BAD_REQUEST)
        if self._lane and version == "1.1" and self._is_idle() and is_ordinary(self.headers):
            conditions = [value for name, value in self.headers if name == b"if-none-match"]
            condition = b", ".join(conditions).decode("latin-1") if conditions else None
            method = self.parser.get_method().decode("ascii")
            self._is_plain = method == "GET" and not conditions
            if self._respond(method, self.url, condition):
                self._laned = True
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._laned:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._between = True
        if not self._laned:
            super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """A near hit does not arm the timer anew, which costs more than this look at the clock."""
        self.timeout_keep_alive_task = None
        left_s = self._last_s + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._arm(left_s)
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        if self.transport.is_closing():
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
        """Whether no other request of this connection waits for its answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _respond(self, method: str, target: bytes, condition: str | None) -> bool:
        """Answers from the near cache; False when the ordinary way has to."""
        lane, transport = self._lane, self.transport
        if lane is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > UNSENT_MAX_BYTES:
            return False  # a client that does not read; the ordinary way waits until it does
        defaults = self.server_state.default_headers
        response = lane.near(method, target.decode("latin-1"), condition, defaults)
        if response is None:
            return False
        self._write(response)
        return True

    def _ask(self, target: bytes, data: bytes) -> bool:
        """Asks Redis for a row that is not near; False when the ordinary way has to."""
        lane = self._lane
        if lane is None or self.transport.get_write_buffer_size() > UNSENT_MAX_BYTES:
            return False
        asked = lane.ask(target.decode("latin-1"))
        if asked is None:
            return False
        self._asked = True
        asked.add_done_callback(partial(self._told, lane, perf_counter(), data))
        return True

    def _told(
        self, lane: Lane, start: float, data: bytes, asked: asyncio.Future[Entry | None]
    ) -> None:
        """Writes what Redis had; on a miss the request goes the ordinary way from its start."""
        self._asked = False
        if self.transport.is_closing():
            return
        entry = None if asked.cancelled() else asked.result()
        response = lane.found(entry, perf_counter() - start, self.server_state.default_headers)
        if response is None:
            self._missed = True
            self._parse(data)
            self._missed = False
        else:
            self._write(response)
        if self._closing:
            self.shutdown()
        elif self._held:
            held, self._held = self._held, b""
            self.flow.resume_reading()
            self.data_received(held)

    def shutdown(self) -> None:
        """What is asked of Redis is a request in progress, which the parent cannot know."""
        self._closing = True
        if not self._asked:
            super().shutdown()

    def _write(self, response: bytes) -> None:
        self.transport.write(response)
        self.server_state.total_requests += 1
        self._last_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._arm(self.timeout_keep_alive)

    def _arm(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def _refuse(self, status: HTTPStatus) -> NoReturn:
        """Leaves the parser, which passes on that a callback failed but not why."""
        self._refusal = status
        raise httptools.HttpParserError(status.phrase)
