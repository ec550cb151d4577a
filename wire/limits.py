"""The limits of a worker's connections, their metrics, and the refusal of a request."""

import asyncio
import ipaddress
import re
import socket
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus

import orjson
from prometheus_client import CollectorRegistry, Counter
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from config import Config
from errors import REFUSALS
from metrics import gauge

SLOW_READER = "slow_reader"
KERNEL_UNSENT_BYTES = 65_536
UNSENT_FREE_BYTES = 8_192
"""Unsent bytes of a connection beside the kernel's that do not count. A client with more does not
read, or reads slowly."""
HELD_MAX_BYTES = 64 * 1024 * 1024
FREE_BYTES = 4_096
FIELD_BYTES = 150
"""Memory that a header takes beside its characters: two bytes objects and a tuple."""
QUEUED_BYTES = 2_500
"""Memory that uvicorn's objects for a request take while the request waits for its turn."""
_HOST = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|\[[vV][0-9A-Fa-f]+\.[\w.~!$&'()*+,;=:-]+\]"
    rb"|(?:[\w.~!$&'()*+,;=-]++|%[0-9A-Fa-f]{2})*+)(?::[0-9]*)?"
)
"""``uri-host [":" port]`` (RFC 9110, 7.2; RFC 3986, 3.2.2). An empty value is allowed."""
_REFUSAL = (
    b"content-type: application/json\r\ncache-control: no-store\r\n"
    b"content-length: %d\r\nconnection: close\r\n%b\r\n%b"
)


class Wire:
    """What the connections of an application share; the protocol finds it at ``app.state.wire``.

    ``left_bytes`` is the budget: bytes that all connections may still hold for requests without an
    answer, and for large answers that their clients do not take. Requests count with the objects
    that are made of them. The first FREE_BYTES of each connection's requests and the first
    UNSENT_FREE_BYTES of its answers do not count, so ordinary requests are served when the budget
    is used up. A request above FREE_BYTES is forgotten once it is answered.

    ``stack.yml`` gives a worker 512 MB: CONNECTIONS_MAX connections take about 260 MB with their
    requests' free bytes and 80 MB with those of unsent answers, the near cache and the budget 64 MB
    each. ``python -m bench.drills held`` measures the first of these.
    """

    def __init__(
        self, limits: Config, registry: CollectorRegistry, left_bytes: int = HELD_MAX_BYTES
    ) -> None:
        self.limits = limits
        self.left_bytes = left_bytes
        # without connections above connections_max, which are refused at once
        self.connections = gauge("content_connections", "Open connections.", registry)
        text = (
            "Connections that were ended for a status, which a client in the midst of an answer "
            "is not told; slow_reader: it did not take what was sent to it."
        )
        refusals = Counter("content_wire_refusals", text, ("status",), registry=registry)
        self.refusals = {why: refusals.labels(why) for why in (*REFUSALS, SLOW_READER)}


def refusal(
    status: HTTPStatus, defaults: list[tuple[bytes, bytes]], *, is_head: bool = False
) -> bytes:
    """Return a whole response that ends its connection; ``defaults`` are the server's headers.

    The response to a HEAD has no body (RFC 9110, 9.3.2).
    """
    body = orjson.dumps({"status": "failed", "message": REFUSALS[status]})
    more = b"".join(b"%b: %b\r\n" % header for header in defaults)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        more += b"retry-after: 1\r\n"
    return STATUS_LINE[status] + _REFUSAL % (len(body), more, b"" if is_head else body)


@lru_cache(64)
def is_host(value: bytes) -> bool:
    """Return whether ``value`` may stand in a ``Host`` header (RFC 9112, 3.2)."""
    host = _HOST.fullmatch(value)
    if host is None or host["v6"] is None:
        return host is not None
    try:
        ipaddress.IPv6Address(host["v6"].decode())
    except ValueError:
        return False
    return True


def bound_unsent(transport: asyncio.Transport, seconds: float) -> None:
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
