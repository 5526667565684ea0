"""The scripts by which records change in Redis: each is one step for everybody.

Keys, under the prefix of all of ours:
    generation:ID   a hash: `owner`, `fence`, `state`, `delivered`, `claimed`, `order`, `record` (sealed), `scope`,
                    `fingerprint`, `open` (how many attempts are), and `a:ID` per attempt: its order, then it (sealed)
    owners          a sorted set: the replicas, by the millisecond until which they hold what they work on
    open:REPLICA    a set: the generations that it works on
    scope:SCOPE     the id of the generation that holds an Idempotency-Key
    same:HASH       a sorted set, by their beginning: generations of equal requests whose answers reached nobody
    ledger          a stream: what was settled and what was answered, told once or more often
    budget:HASH     a hash: what each replica has spent and holds of a key's budget in a span of time
    epoch           since when this Redis remembers; where it is gone, all else is
Times are Redis's own, in milliseconds.
"""

from __future__ import annotations

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# Whether a replica still works on it, for those who look for what was left.
_MEMBER = """
local function member(hash, id, prefix)
  local owner = redis.call('HGET', hash, 'owner')
  if not owner then return end
  local open = redis.call('HGET', hash, 'state') == 'running' or tonumber(redis.call('HGET', hash, 'open') or '0') > 0
  if open then
    redis.call('SADD', prefix .. 'open:' .. owner, id)
    redis.call('PEXPIRE', prefix .. 'open:' .. owner, 604800000)
  else
    redis.call('SREM', prefix .. 'open:' .. owner, id)
  end
end
"""

ATTEMPT = (
    _MEMBER
    + """
-- KEYS generation ledger; ARGV prefix, replica, fence, keep ms, horizon ms, generation, attempt, open, order, sealed
local hash, field = KEYS[1], 'a:' .. ARGV[7]
if ARGV[8] == '1' and redis.call('HEXISTS', hash, 'owner') == 0 then
  redis.call('HSET', hash, 'owner', ARGV[2], 'fence', ARGV[3])
end
local before = redis.call('HGET', hash, field)
if before and string.sub(before, 1, #ARGV[9]) >= ARGV[9] then return 0 end
local was = before and tonumber(string.sub(before, 8, 8)) < 2
redis.call('HSET', hash, field, ARGV[9] .. ARGV[10])
redis.call('PEXPIRE', hash, ARGV[4])
if ARGV[8] == '1' then
  if not was then redis.call('HINCRBY', hash, 'open', 1) end
else
  if was then redis.call('HINCRBY', hash, 'open', -1) end
  redis.call('XADD', KEYS[2], 'MINID', '~', ARGV[5], '*', 'k', 'attempt', 'i', ARGV[7], 'd', ARGV[10])
end
member(hash, ARGV[6], ARGV[1])
return 1
"""
)
"""Tell of an attempt: 1 where it is news."""

ENTER = """
-- KEYS ledger; ARGV horizon ms, kind, id, sealed
redis.call('XADD', KEYS[1], 'MINID', '~', ARGV[1], '*', 'k', ARGV[2], 'i', ARGV[3], 'd', ARGV[4])
return 1
"""
"""Tell of something that is only for the ledger."""

GENERATION = (
    _MEMBER
    + """
-- KEYS generation; ARGV prefix, replica, fence, keep ms, generation, state, delivered, order, sealed, scope,
-- scope's ms, same, created, ended
local prefix, id, hash, state = ARGV[1], ARGV[5], KEYS[1], ARGV[6]
local before = redis.call('HGET', hash, 'order')
if before and before >= ARGV[8] then return 0 end
local mine, scope = id, ''
if ARGV[10] ~= '' then
  scope = prefix .. 'scope:' .. ARGV[10]
  local held = redis.call('GET', scope)
  if held and held ~= mine then
    if state == 'running' then return -1 end
    scope = ''
  else
    redis.call('SET', scope, mine, 'PX', ARGV[11])
  end
end
local earlier = redis.call('HGET', hash, 'scope')
if earlier and earlier ~= '' and earlier ~= scope and redis.call('GET', earlier) == mine then
  redis.call('DEL', earlier)
end
if redis.call('HEXISTS', hash, 'owner') == 0 then
  redis.call('HSET', hash, 'owner', ARGV[2], 'fence', ARGV[3])
end
local same = ARGV[12] == '' and '' or prefix .. 'same:' .. ARGV[12]
local old = redis.call('HGET', hash, 'same')
if old and old ~= '' and old ~= same then redis.call('ZREM', old, id) end
if same ~= '' then
  if ARGV[7] == '0' then
    redis.call('ZADD', same, ARGV[13], id)
    redis.call('PEXPIRE', same, ARGV[4])
  else
    redis.call('ZREM', same, id)
  end
end
redis.call('HSET', hash, 'state', state, 'delivered', ARGV[7], 'order', ARGV[8], 'record', ARGV[9], 'scope', scope,
           'same', same, 'ended', ARGV[14])
redis.call('PEXPIRE', hash, ARGV[4])
member(hash, id, prefix)
return 1
"""
)
"""Tell of a generation: 1 where it is news, -1 where another one holds its Idempotency-Key."""

DELIVERED = """
-- KEYS generation; ARGV generation, reached
local hash = KEYS[1]
if redis.call('EXISTS', hash) == 0 then return 0 end
redis.call('HSET', hash, 'delivered', ARGV[2])
redis.call('HDEL', hash, 'claimed')
local same = redis.call('HGET', hash, 'same')
if same and same ~= '' then
  if ARGV[2] == '1' then
    redis.call('ZREM', same, ARGV[1])
  else
    redis.call('ZADD', same, 'NX', redis.call('TIME')[1], ARGV[1])
    redis.call('PEXPIRE', same, 86400000)
  end
end
return 1
"""
"""Whether an answer has reached a client after all."""

LEFT = """
-- KEYS same; ARGV prefix, since s, replica
local working = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, 99)) do
  local hash = ARGV[1] .. 'generation:' .. id
  local found = redis.call('HMGET', hash, 'state', 'delivered', 'claimed', 'ended', 'owner')
  if not found[1] then
    redis.call('ZREM', KEYS[1], id)
  elseif found[2] == '0' and not found[3] then
    if found[1] == 'running' then
      if found[5] ~= ARGV[3] then working[#working + 1] = id; working[#working + 1] = found[5] end
    elseif tonumber(found[4]) > tonumber(ARGV[2]) then
      redis.call('HSET', hash, 'claimed', 1)
      return {1, id}
    end
  end
end
return {0, working}
"""
"""The oldest generation of an equal request that ended since, and reached nobody: it is the caller's now. Where there
is none, those that others work on and who they are."""

CLAIM_LEFT = """
-- KEYS generation
local delivered = redis.call('HGET', KEYS[1], 'delivered')
if not delivered then return -1 end
if delivered ~= '0' then return 0 end
return redis.call('HSETNX', KEYS[1], 'claimed', 1)
"""
"""Claim what reached nobody: 1; 0 where somebody else has, -1 where it is not known here."""

TAKE = (
    _NOW
    + """
-- KEYS owners; ARGV prefix, replica, lease ms, at most
local prefix, me, room = ARGV[1], ARGV[2], tonumber(ARGV[4])
redis.call('ZADD', KEYS[1], now + ARGV[3], me)
local own = prefix .. 'open:' .. me
for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  local open = prefix .. 'open:' .. owner
  while room > 0 do
    local id = redis.call('SPOP', open)
    if not id then break end
    local hash = prefix .. 'generation:' .. id
    if redis.call('EXISTS', hash) == 1 then
      redis.call('HSET', hash, 'owner', me)
      redis.call('HINCRBY', hash, 'fence', 1)
      redis.call('SADD', own, id)
      room = room - 1
    end
  end
  if redis.call('EXISTS', open) == 0 then redis.call('ZREM', KEYS[1], owner) end
end
redis.call('PEXPIRE', own, 604800000)
local taken = {}
for _, id in ipairs(redis.call('SMEMBERS', own)) do
  local fence = redis.call('HGET', prefix .. 'generation:' .. id, 'fence')
  if not fence then
    redis.call('SREM', own, id)
  elseif fence ~= '1' then
    taken[#taken + 1] = id
    taken[#taken + 1] = fence
  end
end
return taken
"""
)
"""Take over what replicas that are gone have left; everything that is this one's now and was another's, each with its
fence."""

BEAT = (
    _NOW
    + """
-- KEYS owners, epoch; ARGV replica, lease ms, a new epoch's name
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('SET', KEYS[2], ARGV[3] .. ' ' .. string.format('%.0f', now), 'NX')
return redis.call('GET', KEYS[2])
"""
)
"""Hold on to what this replica works on; the epoch."""

RESPOND = """
-- KEYS response, items...; ARGV until ms, sealed, id, again
if ARGV[4] == '1' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PXAT', ARGV[1])
for index = 2, #KEYS do redis.call('SET', KEYS[index], ARGV[3], 'PXAT', ARGV[1]) end
return 1
"""
"""Keep a response; told again it brings back none that was deleted."""

SPEND = (
    _NOW
    + """
-- KEYS budget, epoch; ARGV field, version, micros, limit, settling ms, keep ms
local born = string.match(redis.call('GET', KEYS[2]) or '', ' (%d+)$')
if not born then return {-1, 0} end
local early = tonumber(born) + ARGV[5] - now
if early > 0 then return {-2, math.ceil(early)} end
local fields, sum, spoilt = redis.call('HGETALL', KEYS[1]), 0, 0
for index = 1, #fields, 2 do
  local version, micros = string.match(fields[index + 1], '^(%d+) (%d+)$')
  if not version then
    redis.call('HDEL', KEYS[1], fields[index])
    spoilt = spoilt + 1
  elseif fields[index] ~= ARGV[1] then
    sum = sum + micros
  end
end
if sum + ARGV[3] > tonumber(ARGV[4]) then return {0, spoilt} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {1, spoilt}
"""
)
"""Raise what a process holds to so many micro-dollars, where the sum of all replicas' is within the limit then: 1; 0
where it is not, -1 where nobody has made an epoch yet, -2 where it is so young that others may not have told yet, and
for how many milliseconds."""

SPENT = """
-- KEYS budget; ARGV keep ms, then triples field, version, micros
for index = 2, #ARGV, 3 do
  local held = redis.call('HGET', KEYS[1], ARGV[index])
  local version = held and string.match(held, '^(%d+) %d+$')
  if not version or tonumber(version) <= tonumber(ARGV[index + 1]) then
    redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1] .. ' ' .. ARGV[index + 2])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
"""
"""Tell what was spent, and what a process still holds."""
