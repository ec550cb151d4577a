-- LEASE: return the value, or grant a lease while there is no live intent and no other lease.
-- KEYS: value, lease, intents. ARGV: token, lease_ms, 1 to replace a value (else 0).
-- Return the value, 1 (GRANTED), 0 (HELD) or 2 (FENCED).

local value = redis.call('GET', KEYS[1])
-- a value to replace still answers until the fill, and a write deletes it like any other value
if value and ARGV[3] == '0' then return value end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('ZCOUNT', KEYS[3], '(' .. string.format('%.0f', now), '+inf') > 0 then return 2 end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
