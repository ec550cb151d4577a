-- RELEASE: delete our own lease. Once it has expired, lease and value may be another reader's.
-- KEYS: value, lease. ARGV: token. Return 1 if given back.

if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[2])
