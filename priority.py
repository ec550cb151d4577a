"""The urgency of a request: a user who clicks waits for it, a user who hovers may do without.

It is set once for each request, and read wherever work waits for its turn. A load that others join
is as urgent as the request that began it. If a hover's load is shed, a click tries again.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar

urgent: ContextVar[bool] = ContextVar("urgent", default=True)

LEAST_URGENCY_OF_A_CLICK = 3  # RFC 9218's default; browsers and CDNs send it by themselves
PRIORITY_MAX = 256
"""Bytes of a ``Priority`` that is read. A longer header would cost more than a hit."""
_URGENCY = re.compile(rb",\s*u=([0-7])(?=\s*(?:[;,]|$))")


def is_hover(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request may be shed first, by ``Priority`` or ``Sec-Purpose``.

    A hover has an urgency of 4 to 7 (RFC 9218). An unreadable value counts as a click, which errs
    on the safe side.
    """
    priority = b""
    for name, value in headers:
        if name == b"priority":
            priority += b"," + value
        elif name == b"sec-purpose" and value.strip().lower().startswith(b"prefetch"):
            return True
    found = _URGENCY.findall(priority) if 0 < len(priority) <= PRIORITY_MAX else []
    return bool(found) and int(found[-1]) > LEAST_URGENCY_OF_A_CLICK
