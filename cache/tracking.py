"""Keeps the near cache coherent: what Redis says on its one connection, done to ``Near``.

Everything here runs while that connection is parsed, so in the order in which Redis said it: a
value kept near is removed by every later invalidation, and none that came before it counts. While
invalidations do not arrive, the near cache is off and empty.
"""

from __future__ import annotations

from cache.entry import Entry
from cache.keys import route_of
from cache.near import Near


class Tracking:
    """The three callbacks of ``RedisRows``, over one ``near``."""

    def __init__(self, near: Near) -> None:
        self._near = near

    def on_value(self, key: str, entry: Entry) -> None:
        self._near.put(key, entry, route_of(key))

    def on_invalidate(self, key: str | None) -> None:
        if key is None:
            self._near.clear()
        else:
            self._near.remove(key)

    def on_state(self, is_coherent: bool) -> None:
        if is_coherent:
            self._near.enable()
        else:
            self._near.disable()
