"""One kept-alive HTTP/1.1 connection of the load generator: one request at a time, read no further
than has to be known: the status, the length, and the headers as the bytes they are."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, cast

BODILESS = frozenset((b"204", b"304"))


class Answer(NamedTuple):
    """``head`` with the status line and the empty line at its end."""

    status: int
    head: bytes
    body: bytes


Expect = Callable[[Answer], bool]
"""Whether an answer, of whatever status, is one that may be given to the request. To raise is to
say no: a body that cannot be read is a wrong one."""


@dataclass(slots=True)
class Request:
    """``kind`` is what it is counted under; ``headers`` are whole lines with their ends. Make it
    once and offer it often: its bytes are put together here."""

    path: str
    headers: bytes = b""
    kind: str = "read"
    expect: Expect | None = None
    method: str = "GET"
    body: bytes = b""
    wire: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        headers = self.headers
        if self.body:
            headers += b"Content-Type: application/json\r\n"
            headers += b"Content-Length: %d\r\n" % len(self.body)
        line = f"{self.method} {self.path} HTTP/1.1\r\nHost: localhost\r\n"
        self.wire = b"%b%b\r\n%b" % (line.encode(), headers, self.body)


class Asked(NamedTuple):
    """A request under way: when it was due, and how late the generator took it up."""

    request: Request
    due_s: float
    slip_s: float


class Owner(Protocol):
    """The owner of connections, which sends requests and takes answers."""

    def answered(self, connection: "Connection", asked: Asked, answer: Answer) -> None: ...

    def lost(self, connection: "Connection", asked: Asked | None, error: str) -> None: ...

    def idle(self, connection: "Connection") -> None: ...


def value_of(head: bytes, name: bytes) -> bytes:
    """Return a header's value; ``name`` in lower case with colon and blank. Empty if not there."""
    at = head.find(name)
    if at < 0:  # servers other than ours write names in capitals
        at = head.lower().find(name)
    return head[at + len(name) : head.index(b"\r", at)] if at >= 0 else b""


class Connection(asyncio.Protocol):
    """A connection that tells its owner exactly once how each request ended."""

    __slots__ = ("_error", "_owner", "_part", "asked", "transport")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.asked: Asked | None = None
        self._part, self._error = b"", ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._owner.idle(self)

    def send(self, asked: Asked) -> None:
        """Send a request; the owner hears of its end exactly once."""
        self.asked = asked
        self.transport.write(asked.request.wire)

    def give_up(self, error: str) -> None:
        """End the connection; its request ends with ``error``."""
        self._error = error
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.asked is None or self._error:  # a 408 for silence, and then the end
            self.transport.close()
            return
        data = self._part + data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._part = data
            return
        length = _length_of(self.asked.request, data[:end])
        if length < 0 or len(data) > end + length:
            self.give_up("malformed")
        elif len(data) < end + length:
            self._part = data
        else:
            self._answer(self.asked, data[:end], data[end:])

    def _answer(self, asked: Asked, head: bytes, body: bytes) -> None:
        self.asked, self._part = None, b""
        self._owner.answered(self, asked, Answer(int(head[9:12]), head, body))
        if value_of(head, b"connection: ").lower() == b"close":
            self.transport.close()
        elif not self.transport.is_closing():
            self._owner.idle(self)

    def connection_lost(self, exc: Exception | None) -> None:
        asked, self.asked = self.asked, None
        self._owner.lost(self, asked, self._error or ("reset" if exc else "closed"))


def _length_of(request: Request, head: bytes) -> int:
    """Return the length of the body behind ``head``, or -1 if the head is malformed."""
    status, length = head[9:12], value_of(head, b"content-length: ")
    if not head.startswith(b"HTTP/1.") or not status.isdigit():
        return -1
    if request.method == "HEAD" or status in BODILESS:
        return 0
    return int(length) if length.isdigit() else -1
