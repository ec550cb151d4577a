"""Lua scripts that make fills and writes safe against each other, a file each in this folder.

Three Redis keys belong to each key of ours: the *value*, the *lease* of the reader that may fill
it, and the *intents* of writers. The intents are a sorted set of writers' tokens. Its scores are
the times of expiry in milliseconds by Redis' clock. Redis runs one script at a time, and there is
no other lock. An eviction by Redis only costs a fill:

- Without its value or its lease, a key is a miss.
- Without an intent, an old value may be filled, until SETTLE deletes value and lease once more.

The scripts of a write keep the connections of an old and of a new reign apart (``handshake.py``):

1. A write of an old connection would fence names that newer connections do not read. So the scripts
   first compare the replication ID with the one in the keys' names. If it differs, they do nothing
   and answer NEWREIGN, which ends the connection.
2. A reader with an old connection would go on reading names that a write of the new reign does not
   delete. So the scripts set the *marker* of their reign, if it is not there. Every connection
   tracks the markers. Redis sends the invalidation at the end of its loop's turn, so before the
   reply to any later read; a marker of another reign ends the connection.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

GRANTED, HELD, FENCED = 1, 0, 2
"""Replies of LEASE without a value: fill; another reader fills; a write is under way."""

Intent = str
"""The token of a writer's mark in Redis, which ``settle`` lifts."""


class Lease(NamedTuple):
    """The reply to a reader that found no value.

    If ``granted``, load and ``fill``. If ``held``, another reader loads the value, which may soon
    be there. If neither, a write is under way, so load and do not fill.
    """

    token: str
    granted: bool
    held: bool


class Script:
    """The script in ``file``.

    A connection sends its text until it has run once, and its digest from then on.
    """

    def __init__(self, file: str) -> None:
        self.lua = Path(__file__).with_name(file).read_text()
        self.sha = hashlib.sha1(self.lua.encode(), usedforsecurity=False).hexdigest()


LEASE = Script("lease.lua")
FILL = Script("fill.lua")
RELEASE = Script("release.lua")
INTEND = Script("intend.lua")
SETTLE = Script("settle.lua")
