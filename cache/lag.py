"""Lets a reply count as late only after the sockets have been read.

After a stall of this process, a reply that came in time may still be unread when its timer fires.
Under overload every turn of the event loop is such a stall. Reads, and in the end the connection,
would be given up. Then the store would have to answer reads that Redis had answered in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def once_read(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call ``callback`` from a timer, after the loop has read its sockets. The first ``call_soon``
    may run before the sockets are read, the second runs after."""
    loop.call_soon(loop.call_soon, callback)
