"""What Redis does at a gate: let in, hand a place over to the first in line, and hear again what a replica holds."""

from __future__ import annotations

from gateway.services.redis.replica import ALIVE

# KEYS: names seen, how many each has inside, the line. ARGV: our name, the lease, the limit, seconds to live, where
# handing over is told, what is told before the member.
_HAND_OVER = (
    ALIVE
    + """
local limit, ttl = tonumber(ARGV[3]), tonumber(ARGV[4])
local total = held(KEYS[2])
local function hand_over()
  while total < limit do
    local first = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
    if not first then return end
    redis.call('ZREM', KEYS[3], first)
    local id = string.match(first, '^[^ ]+')
    local base = string.match(id, '^[^.]+')
    if alive(id) and redis.call('PUBLISH', ARGV[5] .. base, ARGV[6] .. ' ' .. first .. ' ' .. ARGV[3]) > 0 then
      redis.call('HINCRBY', KEYS[2], id, 1)
      redis.call('EXPIRE', KEYS[2], ttl)
      total = total + 1
    end
  end
end
local function stand(member)
  local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
  redis.call('ZADD', KEYS[3], (tonumber(last) or 0) + 1, member)
  redis.call('EXPIRE', KEYS[3], ttl)
end
"""
)
# ARGV[7]: our place in line, [8]: whether we would wait, [9]: how many may, -1 = any number.
ENTER = (
    _HAND_OVER
    + """
if not alive(me) then return -1 end
hand_over()
if total < limit then
  take(KEYS[2], ttl)
  return 1
end
if ARGV[8] == '0' then return 0 end
local most = tonumber(ARGV[9])
if most >= 0 and redis.call('ZCARD', KEYS[3]) >= most then
  for _, member in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if not alive(string.match(member, '^[^ ]+')) then redis.call('ZREM', KEYS[3], member) end
  end
  if redis.call('ZCARD', KEYS[3]) >= most then return 2 end
end
stand(me .. ' ' .. ARGV[7])
return 3
"""
)
LEAVE = (
    _HAND_OVER
    + """
if not alive(me) then return end
let_go(KEYS[2], me)
total = held(KEYS[2])
hand_over()
"""
)
LOOK = (
    _HAND_OVER
    + """
hand_over()
"""
)
# ARGV[7]: how many we have inside, [8...]: our places in line. What is under way to us just now is counted already.
STILL = (
    _HAND_OVER
    + """
if not alive(me) then return end
local known = tonumber(redis.call('HGET', KEYS[2], me)) or 0
if known < tonumber(ARGV[7]) then redis.call('HSET', KEYS[2], me, ARGV[7]) end
for i = 8, #ARGV do
  if not redis.call('ZSCORE', KEYS[3], me .. ' ' .. ARGV[i]) then stand(me .. ' ' .. ARGV[i]) end
end
redis.call('EXPIRE', KEYS[2], ttl)
redis.call('EXPIRE', KEYS[3], ttl)
total = held(KEYS[2])
hand_over()
"""
)
# ARGV[7]: our name until now, [8]: how many we have inside, [9...]: our places in line.
AGAIN = (
    _HAND_OVER
    + """
redis.call('HDEL', KEYS[2], ARGV[7])
if tonumber(ARGV[8]) > 0 then
  redis.call('HSET', KEYS[2], me, ARGV[8])
  redis.call('EXPIRE', KEYS[2], ttl)
end
local mine = {}
for i = 9, #ARGV do
  local before = ARGV[7] .. ' ' .. ARGV[i]
  local place = redis.call('ZSCORE', KEYS[3], before)
  redis.call('ZREM', KEYS[3], before)
  if place then
    redis.call('ZADD', KEYS[3], place, me .. ' ' .. ARGV[i])
  else
    stand(me .. ' ' .. ARGV[i])
  end
end
total = held(KEYS[2])
hand_over()
"""
)
SCRIPTS = (ENTER, LEAVE, LOOK, STILL, AGAIN)
