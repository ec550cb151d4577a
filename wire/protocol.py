"""The protocol of the service: ``StrictProtocol`` with the fast lane in front of it."""

import asyncio
from functools import partial
from time import perf_counter
from typing import Any

from cache.entry import Entry
from cache.keys import is_row, is_several
from middleware.onion import Context
from wire.lane import KEPT, Headers, Lane
from wire.limits import FREE_BYTES
from wire.strict import StrictProtocol


class Protocol(StrictProtocol):
    """One connection, whose plain reads ``app.state.lane`` answers.

    ``_plain`` keeps the bytes after the first line of the last plain GET, as clients hardly ever
    change them. A GET that repeats these bytes is not parsed. While the lane works on a request,
    ``_turn`` is incomplete, so later requests wait as they wait behind a request through ASGI.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lane: Lane = self.app.state.lane
        self._plain = b""
        self._kept: Headers = ()  # the headers of ``_plain`` that count in a load
        self._newest: Headers | None = None  # the same of the newest request, if it is plain

    def data_received(self, data: bytes) -> None:
        between = not self._within
        if between and self._plain and self._is_idle() and not self._refused:
            line, _, rest = data.partition(b"\r\n")
            same = rest == self._plain and line[:4] == b"GET " and line[-9:] == b" HTTP/1.1"
            if same and self._get(line[4:-9].decode("latin-1")):
                return
        super().data_received(data)
        # exactly one request, from its first byte to its last, without an empty line before it
        whole = between and not self._within and data.startswith(b"GET ") and self._begun == 1
        small = len(data) <= FREE_BYTES  # ``_plain`` is kept, and not charged to the budget
        if whole and small and self._newest is not None:
            self._plain, self._kept = data.partition(b"\r\n")[2], self._newest

    def start_request(self) -> None:
        self._newest = None
        is_get = self.parser.get_method() == b"GET" and self.parser.get_http_version() == "1.1"
        if is_get and self._is_idle() and self._lane.is_ordinary(self.headers):
            conditions = [value for name, value in self.headers if name == b"if-none-match"]
            condition = b", ".join(conditions).decode("latin-1") if conditions else None
            if condition is None:  # no header can change the answer
                self._newest = [field for field in self.headers if field[0] in KEPT]
            if self._hit(self.url.decode("latin-1"), condition):
                self.cycle = self._turn  # which is complete: the parent ignores body and end
                return
        super().start_request()

    def _get(self, target: str) -> bool:
        """Answer a plain GET, now or later. Return False if it must go through ASGI."""
        hit = self._hit(target, None)
        if hit is not None:
            return bool(hit)
        is_one, arrived_s = is_row(target), self.loop.time()
        if not is_one and not is_several(target):
            return False
        # for several rows the handler asks; for one, there may be no Redis
        asked = self._lane.ask(target) if is_one else None
        self.cycle = self._running = self._turn
        self._turn.response_complete = False
        if asked is None:
            self._load(target, arrived_s)
        else:
            asked.add_done_callback(partial(self._told, target, perf_counter(), arrived_s))
        return True

    def _hit(self, target: str, condition: str | None) -> bytes | None:
        """Answer a GET from the near cache, and return the response.

        Return None if the near cache has no entry, and empty bytes if the request must go through
        ASGI.
        """
        transport = self.transport
        # a client with UNSENT_FREE_BYTES does not read: uvicorn answers, and waits for it
        if transport.is_closing() or self.flow.write_paused:
            return b""
        response = self._lane.near(target, condition, self.server_state.default_headers)
        if response:
            transport.write(response)
            self.answered()
        return response

    def _told(
        self, key: str, start_s: float, arrived_s: float, asked: asyncio.Future[Entry | None]
    ) -> None:
        """Write the row that Redis had, or load the row."""
        if self.transport.is_closing():
            return
        response = None
        if self._turn.keep_alive and (entry := asked.result()) is not None:
            seconds = perf_counter() - start_s
            response = self._lane.found(entry, seconds, self.server_state.default_headers)
        if response is None:
            self._load(key, arrived_s)
        else:
            self._answer(response)

    def _load(self, key: str, arrived_s: float) -> None:
        """Load rows in a task, which is in the server's ``tasks`` like uvicorn's own."""
        ctx = self._lane.context(key, self._kept, arrived_s)
        loading = asyncio.ensure_future(self._lane.load(ctx), loop=self.loop)
        self.tasks.add(loading)
        loading.add_done_callback(partial(self._loaded, ctx))

    def _loaded(self, ctx: Context, loading: asyncio.Task[None]) -> None:
        self.tasks.discard(loading)
        try:
            loading.result()
        except BaseException:  # the middleware answers every error except its own
            self.transport.close()
            raise
        if not self.transport.is_closing():
            if self._lane.drain.active or not self._turn.keep_alive:
                self._turn.keep_alive = False
                ctx.headers[b"connection"] = b"close"
            self._answer(self._lane.loaded(ctx, self.server_state.default_headers))

    def _answer(self, response: bytes) -> None:
        """Write the response for which the connection has waited, and go on."""
        self._turn.response_complete = True
        self.transport.write(response)
        if not self._turn.keep_alive:
            self.close()
        self.on_response_complete()
