-- SETTLE: delete values and leases, and lift the writer's own intent. Other writers' intents stay.
-- KEYS: n times value, lease, intents; marker. ARGV: writer's token, replication ID.

-- the same look at the reign as in intend.lua
local reign = ARGV[2] or ''
if reign ~= '' and not string.find(
    redis.call('INFO', 'replication'), 'master_replid:' .. reign, 1, true) then
  return redis.error_reply('NEWREIGN the replication id is another one now')
end
for i = 1, #KEYS - 1, 3 do
  redis.call('ZREM', KEYS[i + 2], ARGV[1])
  -- even without the intent: once it was evicted or has expired, an older value may be filled
  redis.call('DEL', KEYS[i], KEYS[i + 1])
end
redis.call('SET', KEYS[#KEYS], '1', 'NX')
return 1
