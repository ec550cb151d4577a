"""The Lua that makes a read-then-fill and a write safe against each other (DESIGN, fenced fills).

Three Redis keys belong to each key of ours: the *value*, the *lease* of the one who may fill it,
and the *intents* of those who are about to write, a sorted set of writer tokens scored with their
expiry in milliseconds by Redis' clock. Whatever Redis evicts of them only costs a fill: a value or
a lease that is gone is a miss, and an intent that is gone is made up for by SETTLE, which deletes
value and lease once more. Scripts run one at a time, which is all the locking there is.

The scripts of a write keep the two sides of a new reign apart (see ``handshake.py``):

1. A write of an old connection would fence names that newer connections do not read. So the scripts
   first compare the replication ID with the one in the keys' names. If it differs, they do nothing
   and answer NEWREIGN, which ends the connection.
2. A reader with an old connection would go on reading names that a write of the new reign does not
   delete. So the scripts set the *marker* of their reign, if it is not there. Every connection
   tracks the markers. Redis sends the invalidation at the end of its loop's turn, so before the
   reply to any later read; a marker of another reign ends the connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hiredis import ReplyError

from cache.connection import Argument, Connection, Lost, OnReply, Reply

GRANTED, HELD, FENCED = 1, 0, 2
"""What LEASE says when there is no value: fill it; another one is at it; a write is under way."""


class Script:
    """Run by its digest, and once by its text when the server does not know it (any more)."""

    def __init__(self, lua: str) -> None:
        self.lua = lua
        self.sha = hashlib.sha1(lua.encode(), usedforsecurity=False).hexdigest()

    def send(
        self,
        connection: Connection,
        keys: Sequence[str],
        args: Sequence[Argument],
        on_reply: OnReply,
    ) -> bool:
        """As ``Connection.send``. A call repeated as EVAL runs after what was sent meanwhile, in
        the order of the first replies: each script is right wherever it lands."""
        rest = (len(keys), *keys, *args)

        def answered(reply: Reply) -> None:
            if isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
                if not connection.send(("EVAL", self.lua, *rest), on_reply):
                    on_reply(Lost("too much is unsent"))
            else:
                on_reply(reply)

        return connection.send(("EVALSHA", self.sha, *rest), answered)


_NOW_MS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# Last, because a script that has written may also take memory where Redis is full.
_MARK_REIGN = """
redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', 86400000)
return 1
"""

# INFO takes 3 us, which only writes pay, and has the id before this one, too (master_replid2); ""
# stands for an id that is not known.
_SAME_REIGN = """
local reign = ARGV[%d] or ''
if reign ~= '' and not string.find(
    redis.call('INFO', 'replication'), 'master_replid:' .. reign, 1, true) then
  return redis.error_reply('NEWREIGN the replication id is another one now')
end
"""

# A lease is granted only while there is no live intent, no other lease, and no value but one that
# is to be replaced: it answers on until it is, and goes with a write like any other.
LEASE = Script(
    """
local value = redis.call('GET', KEYS[1])
if value and ARGV[3] == '0' then return value end
"""
    + _NOW_MS
    + """
if redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf') > 0 then return 2 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
"""
)
"""keys: value, lease, intents; args: token, lease_ms, 1 to replace a value (else 0). The value, or
GRANTED, HELD or FENCED."""

# A value is stored only under the lease that was granted before its source was read, and every
# write deletes leases: so nothing read before a write is stored after it. SET comes first, since a
# script that has written is past the check of maxmemory and would store nothing having deleted.
FILL = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
"""
)
"""keys: value, lease; args: token, packed, ttl_ms. 1: stored."""

# The lease alone, and only one's own: the value may be another's by now, who came after it expired.
RELEASE = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
"""
)
"""keys: value, lease; args: token. 1: given back."""

# From here on until the intent is lifted or expires, nothing is filled; what was there is gone. The
# set outlives its longest intent, and no token stays in it for longer than the next intent. As its
# first command needs no memory, a Redis that is full (maxmemory) refuses fills, but no write.
INTEND = Script(
    _SAME_REIGN % 3
    + _NOW_MS
    + """
local ms = tonumber(ARGV[2])
for i = 1, #KEYS - 1, 3 do
  redis.call('ZREMRANGEBYSCORE', KEYS[i + 2], '-inf', string.format('%.0f', now))
  redis.call('ZADD', KEYS[i + 2], string.format('%.0f', now + ms), ARGV[1])
  if redis.call('PTTL', KEYS[i + 2]) < ms then redis.call('PEXPIRE', KEYS[i + 2], ms) end
  redis.call('DEL', KEYS[i], KEYS[i + 1])
end
"""
    + _MARK_REIGN
)
"""keys: n times value, lease, intents; marker; args: writer's token, intent_ms, replication id."""

# Value and lease go whatever became of the intent: it may have been evicted, or have expired, and
# something older than the write may have been filled since. Other writers' intents stay.
SETTLE = Script(
    _SAME_REIGN % 2
    + """
for i = 1, #KEYS - 1, 3 do
  redis.call('ZREM', KEYS[i + 2], ARGV[1])
  redis.call('DEL', KEYS[i], KEYS[i + 1])
end
"""
    + _MARK_REIGN
)
"""keys: n times value, lease, intents; marker; args: writer's token, replication id."""
