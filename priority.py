"""How urgent the work at hand is: a user who clicks waits for it, one who hovers may do without.

Set once a request, read wherever work waits for its turn. A load that others join is as urgent as
the request that began it; a click does not share the fate of a hover's that was shed.
"""

from __future__ import annotations

import re
from contextvars import ContextVar

urgent: ContextVar[bool] = ContextVar("urgent", default=True)

LEAST_URGENCY_OF_A_CLICK = 3  # RFC 9218's default; browsers and CDNs say it by themselves
PRIORITY_MAX = 256
"""Characters of a ``Priority`` that is read at all; a longer one would cost more than a hit."""
_URGENCY = re.compile(r"(?:^|,)\s*u=([0-7])(?=\s*(?:[;,]|$))")


def is_hover(priority: str | None, purpose: str | None) -> bool:
    """Whether a request may be shed first, by its ``Priority`` (RFC 9218: urgency 4 to 7) and its
    ``Sec-Purpose``. What cannot be read counts as a click, which errs on the safe side."""
    if purpose is not None and purpose.lower().startswith("prefetch"):
        return True
    if priority is None or len(priority) > PRIORITY_MAX:
        return False
    found = _URGENCY.findall(priority)
    return bool(found) and int(found[-1]) > LEAST_URGENCY_OF_A_CLICK
