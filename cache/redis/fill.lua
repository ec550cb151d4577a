-- FILL: store a value only under the lease that was granted before the store was read.
-- KEYS: value, lease. ARGV: token, packed, ttl_ms. Return 1 if stored.

-- every write deletes leases, so no value that was read before a write is stored after it
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
-- SET comes first, because Redis checks maxmemory only until a script has written. A full Redis
-- then refuses the whole fill.
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
