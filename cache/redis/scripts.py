"""Lua scripts that make fills and writes safe against each other (``docs/design.md``).

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
    """A script. A connection sends its text until it has run once, and its digest from then on."""

    def __init__(self, lua: str) -> None:
        self.lua = lua
        self.sha = hashlib.sha1(lua.encode(), usedforsecurity=False).hexdigest()


_NOW_MS = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# Last, because a script that has written may also take memory where Redis is full.
_MARK_REIGN = """
redis.call('SET', KEYS[#KEYS], '1', 'NX', 'PX', 86400000)
return 1
"""

# INFO takes 3 us, which only writes pay. It also has the previous ID, as master_replid2, so the
# search includes the field's name. "" stands for an unknown ID.
_SAME_REIGN = """
local reign = ARGV[%d] or ''
if reign ~= '' and not string.find(
    redis.call('INFO', 'replication'), 'master_replid:' .. reign, 1, true) then
  return redis.error_reply('NEWREIGN the replication id is another one now')
end
"""

# Grant a lease only while there is no live intent, no other lease, and no value, except a value to
# replace. That value still answers until the fill, and a write deletes it like any other value.
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
"""keys: value, lease, intents; args: token, lease_ms, 1 to replace a value (else 0). Returns the
value, GRANTED, HELD or FENCED."""

# Store a value only under the lease that was granted before the store was read. Every write deletes
# leases, so no value that was read before a write is stored after it. SET comes before DEL, because
# Redis checks maxmemory only until a script has written. A full Redis then refuses the whole fill.
FILL = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
"""
)
"""keys: value, lease; args: token, packed, ttl_ms. Returns 1 if stored."""

# Delete our own lease only. Once it has expired, lease and value may be another reader's.
RELEASE = Script(
    """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
"""
)
"""keys: value, lease; args: token. Returns 1 if given back."""

# Delete values and leases, and block fills until the intent is lifted or expires. The set outlives
# its longest intent. Expired tokens stay in it until the next intent. The first command to write
# needs no memory, so a Redis that is full (maxmemory) refuses fills, but no write.
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

# Delete value and lease even without the intent. Once an intent was evicted or has expired, a value
# older than the write may be filled. Other writers' intents stay.
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
