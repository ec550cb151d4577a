"""The protocol of the service: ``StrictProtocol`` with the fast lane in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import Any, cast

from cache.entry import Entry
from cache.keys import is_row, is_several
from middleware.onion import Context
from wire.lane import KEPT, Lane
from wire.limits import FREE_BYTES
from wire.strict import StrictProtocol

UNSENT_MAX_BYTES = 65_536
"""A client with more unsent bytes does not read, so uvicorn answers and waits for the client."""


class Protocol(StrictProtocol):
    """One connection.

    ``_plain`` keeps the bytes after the first line of the last plain GET, as clients hardly ever
    change them. A GET that repeats these bytes is not parsed.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane: Lane | None = getattr(getattr(self.app, "state", None), "lane", None)
        self._laned = False  # the lane answered: the parent must not see body and end
        self._is_plain = False  # a GET whose headers cannot change its answer
        self._plain = b""  # the bytes after its first line
        self._kept: list[tuple[bytes, bytes]] = []  # its headers that count in a load
        self._parsed = self._kept  # these headers of the newest request, plain or not
        # the lane works on a request; the connection must end after its answer
        self._asked = self._closing = False

    def data_received(self, data: bytes) -> None:
        if self._lane is None or self._refused:
            super().data_received(data)
            return
        if self._asked:  # the lane works on one request; later bytes wait
            self._wait(data)
            return
        if self._between and self._plain and self._is_idle():
            line, _, rest = data.partition(b"\r\n")
            same = rest == self._plain and line[:4] == b"GET " and line[-9:] == b" HTTP/1.1"
            if same and self._get(line[4:-9].decode("latin-1")):
                return
        self._parse(data)

    def _wait(self, data: bytes) -> None:
        """Keep bytes that arrive while the lane works, within the budget, for ``_go_on``."""
        self.flow.pause_reading()
        if not self._closing:
            self._unread += data
            self._reserve(len(self._unread))

    def _parse(self, data: bytes) -> None:
        between = self._between
        super().data_received(data)
        whole = between and self._between and data.startswith(b"GET ")  # no empty line before GET
        small = len(data) <= FREE_BYTES  # ``_plain`` is kept, and not charged to the budget
        if whole and small and self._is_plain and self._begun == 1:
            # exactly one request, from its first byte to its last
            self._plain, self._kept = data.partition(b"\r\n")[2], self._parsed

    def on_message_begin(self) -> None:
        self._laned = self._is_plain = False
        super().on_message_begin()

    def start_request(self) -> None:
        ordinary = self._lane is not None and self._lane.is_ordinary(self.headers)
        if ordinary and self.parser.get_http_version() == "1.1" and self._is_idle():
            conditions = [value for name, value in self.headers if name == b"if-none-match"]
            condition = b", ".join(conditions).decode("latin-1") if conditions else None
            self._is_plain = self._method == "GET" and not conditions
            self._parsed = [field for field in self.headers if field[0] in KEPT]
            if self._method in ("GET", "HEAD") and self._hit(
                self._method, self.url.decode("latin-1"), condition
            ):
                self._laned = True
                return
        super().start_request()

    def on_body(self, body: bytes) -> None:
        if not self._laned:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._laned:
            self._between = True
        else:
            super().on_message_complete()

    def refuse(self, status: HTTPStatus) -> None:
        """End the connection, after its answer if the lane works on a request."""
        if not self._asked:
            super().refuse(status)
            return
        self._charge(0)
        self._wire.refused(status)
        self._closing = True

    def shutdown(self) -> None:
        """Close the connection, after its answer if the lane works on a request."""
        self._closing = True
        if not self._asked:
            super().shutdown()

    def is_busy(self) -> bool:
        return self._asked or super().is_busy()

    def _get(self, target: str) -> bool:
        """Answer a plain GET, now or later. Return False if it must go through ASGI."""
        hit, lane = self._hit("GET", target, None), self._lane
        if hit is not None or lane is None:
            return bool(hit)
        is_one, arrived_s = is_row(target), self.loop.time()
        if not is_one and not is_several(target):
            return False
        # for several rows the handler asks; for one, there may be no Redis, or it is away
        asked = lane.ask(target) if is_one else None
        if asked is None:
            self._load(lane, target, arrived_s)
        else:
            self._asked = True
            start = perf_counter(), arrived_s
            asked.add_done_callback(partial(self._told, lane, target, start))
        return True

    def _hit(self, method: str, target: str, condition: str | None) -> bytes | None:
        """Answer from the near cache, and return the response.

        Return None if the near cache has no entry, and empty bytes if the request must go through
        ASGI.
        """
        lane, transport = self._lane, self.transport
        is_read = transport.get_write_buffer_size() <= UNSENT_MAX_BYTES
        if lane is None or transport.is_closing() or not is_read:
            return b""
        response = lane.near(method, target, condition, self.server_state.default_headers)
        if response:
            self._write(response)
        return response

    def _told(
        self, lane: Lane, key: str, start: tuple[float, float], asked: asyncio.Future[Entry | None]
    ) -> None:
        """Write the row that Redis had, or load the row."""
        self._asked = False
        if self.transport.is_closing():
            return
        entry = None if asked.cancelled() or self._closing else asked.result()
        response = None
        if entry is not None:
            seconds = perf_counter() - start[0]
            response = lane.found(entry, seconds, self.server_state.default_headers)
        if response is None:
            self._load(lane, key, start[1])
        else:
            self._write(response)
            self._go_on()

    def _load(self, lane: Lane, key: str, arrived_s: float) -> None:
        """Load rows in a task, which is in the server's ``tasks`` like uvicorn's own."""
        self._asked = True
        ctx = lane.context(key, self._kept, arrived_s)
        loading = self.loop.create_task(cast(Coroutine[Any, Any, None], lane.load(ctx)))
        self.tasks.add(loading)
        loading.add_done_callback(partial(self._loaded, lane, ctx))

    def _loaded(self, lane: Lane, ctx: Context, loading: asyncio.Task[None]) -> None:
        self.tasks.discard(loading)
        self._asked = False
        try:
            loading.result()
        except BaseException:  # the middleware answers every error except its own
            self.transport.close()
            raise
        if not self.transport.is_closing():
            defaults = self.server_state.default_headers
            response, self._closing = lane.loaded(ctx, defaults, is_last=self._closing)
            self._write(response)
            self._go_on()

    def _go_on(self) -> None:
        """Handle the shutdown, the bytes or the end that came while the lane worked."""
        if self._closing:
            self._refused, self._unread = True, b""  # later bytes are dropped
            if self.flow.read_paused and self._is_idle():
                self.flow.resume_reading()
                self.linger()
            else:
                self.shutdown()
        elif self._unread:
            unread, self._unread = self._unread, b""
            self._charge(0)  # the bytes are charged again if they still wait
            self.flow.resume_reading()
            self.data_received(unread)
        if self._ended and not self._asked:
            self.end()

    def _write(self, response: bytes) -> None:
        self.transport.write(response)
        self.server_state.total_requests += 1
        self.answered()
