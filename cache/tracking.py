"""Keep the near cache coherent by the values and invalidations of Redis' one connection.

The callbacks run while that connection is parsed, so in the order in which Redis wrote replies and
pushes. A later invalidation removes a value that was put near, and an earlier one does not. While
invalidations do not arrive, the near cache is disabled and empty.
"""

from __future__ import annotations

from cache.entry import Entry
from cache.keys import route_of
from cache.near import Near


class Tracking:
    """The three callbacks of ``RedisRows``, which act on ``near``."""

    def __init__(self, near: Near) -> None:
        self._near = near

    def on_value(self, key: str, entry: Entry) -> None:
        """Put near the entry that Redis has for the key."""
        self._near.put(key, entry, route_of(key))

    def on_invalidate(self, key: str | None) -> None:
        """Remove the key's entry, or all entries if ``key`` is None."""
        if key is None:
            self._near.clear()
        else:
            self._near.remove(key)

    def on_state(self, is_coherent: bool) -> None:
        """Enable the near cache if invalidations arrive, else disable it."""
        if is_coherent:
            self._near.enable()
        else:
            self._near.disable()
