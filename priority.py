"""The urgency of a request: a user who clicks waits for it, a user who hovers may do without.

It is set once for each request, and read wherever work waits for its turn. A load that others join
is as urgent as the request that began it. If a hover's load is shed, a click tries again.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

urgent: ContextVar[bool] = ContextVar("urgent", default=True)

LEAST_URGENCY_OF_A_CLICK = 3  # RFC 9218's default; browsers and CDNs send it by themselves
PRIORITY_MAX = 256
"""Characters of a ``Priority`` that is read. A longer header would cost more than a hit."""
_URGENCY = re.compile(r"(?:^|,)\s*u=([0-7])(?=\s*(?:[;,]|$))")


def is_hover(priority: str | None, purpose: str | None) -> bool:
    """Return whether a request may be shed first, by ``Priority`` or ``Sec-Purpose``.

    A hover has an urgency of 4 to 7 (RFC 9218). An unreadable value counts as a click, which errs
    on the safe side.
    """
    if purpose is not None and purpose.lower().startswith("prefetch"):
        return True
    if priority is None or len(priority) > PRIORITY_MAX:
        return False
    found = _URGENCY.findall(priority)
    return bool(found) and int(found[-1]) > LEAST_URGENCY_OF_A_CLICK
