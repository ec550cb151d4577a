"""A process that is late itself does not blame Redis: what came in time may still lie unread.

After a halt the loop calls timers before it looks at its sockets. Under an overload each of its
turns is one: reads would be given up, and in the end the connection, and the store would have to
bear what Redis had answered long ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def once_read(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Calls back after the loop has read what its sockets have: from a timer, the first call is
    before that and the second behind it."""
    loop.call_soon(loop.call_soon, callback)
