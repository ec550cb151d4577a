-- INTEND: delete values and leases, and block fills until the intent is lifted or expires.
-- KEYS: n times value, lease, intents; marker. ARGV: writer's token, intent_ms, replication ID.

-- INFO takes 3 us, which only writes pay. It also has the previous ID, as master_replid2, so the
-- search includes the field's name. '' stands for an unknown ID.
local reign = ARGV[3] or ''
if reign ~= '' and not string.find(
    redis.call('INFO', 'replication'), 'master_replid:' .. reign, 1, true) then
  return redis.error_reply('NEWREIGN the replication id is another one now')
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ms = tonumber(ARGV[2])
for i = 1, #KEYS - 1, 3 do
  -- Expired tokens stay until the next intent. The first command to write needs no memory, so a
  -- Redis that is full (maxmemory) refuses fills, but no write.
  redis.call('ZREMRANGEBYSCORE', KEYS[i + 2], '-inf', string.format('%.0f', now))
  redis.call('ZADD', KEYS[i + 2], string.format('%.0f', now + ms), ARGV[1])
  -- the set outlives its longest intent
  if redis.call('PTTL', KEYS[i + 2]) < ms then redis.call('PEXPIRE', KEYS[i + 2], ms) end
  redis.call('DEL', KEYS[i], KEYS[i + 1])
end
-- last, because a script that has written may also take memory where Redis is full
redis.call('SET', KEYS[#KEYS], '1', 'NX')
return 1
