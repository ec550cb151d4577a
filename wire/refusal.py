"""The response to a request that is refused and ends its connection, in the failure envelope."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import orjson

_MESSAGES = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read",
    HTTPStatus.REQUEST_TIMEOUT: "The request took too long to arrive",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The request target is too long",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "The request's head is too large",
    HTTPStatus.NOT_IMPLEMENTED: "This is no proxy",
    HTTPStatus.SERVICE_UNAVAILABLE: "Too many connections or unfinished requests; try again",
}


def render(status: HTTPStatus, defaults: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return a whole response; ``defaults`` are the server's own headers."""
    body = orjson.dumps({"status": "failed", "message": _MESSAGES[status]})
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        *defaults,
    ]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append((b"retry-after", b"1"))
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n%b" % (status, status.phrase.encode(), lines, body)
