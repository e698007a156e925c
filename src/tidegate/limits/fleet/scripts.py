"""What runs in the store. Time is the store's own (TIME), so that no node's clock matters.

Each script is one atomic step on one key, and says what it takes and returns in its first lines.
"""

from typing import Final

from tidegate.redis.scripts import Script

__all__ = ["borrow_quota", "borrow_rate", "count_nodes", "hold_permits", "take_all"]

# The bucket of a rate is its theoretical arrival time (GCRA), in microseconds of the store's clock. Numbers are
# doubles: exact to 2^53 us, the year 2255. A key lives until its bucket is full again, and equals an absent one then.
# While a limit is changed nodes may have different rates and bursts for one key: each request takes up the time that
# its node says. What lies ahead may be of a node with more room, so the most that may lie ahead is remembered until no
# node with so much was heard for longer than one pauses (``allowance.PAUSE_S``).
_RATE: Final = """
local function rate_of(key, interval, holds, owed)
  local one = {interval = interval, room = interval * holds, holds = holds}
  local most = one.room * (1 + owed)
  local arrival, widest, heard = string.match(redis.call('GET', key) or '0 0 0', '(%d+) (%d+) (%d+)')
  one.arrival, one.widest, one.heard = tonumber(arrival), tonumber(widest), math.min(tonumber(heard), now_us)
  if most >= one.widest or now_us - one.heard > 65000000 then one.widest, one.heard = most, now_us end
  -- So many buckets may be owed beyond an empty one, by what nodes let in by themselves or served before it was known
  -- to be charged. More is a limit that was changed, or a clock that was set back, and would keep a key out for long.
  function one.settle() one.arrival = math.min(math.max(one.arrival, now_us), now_us + one.widest) end
  function one.left() return math.floor((now_us + one.room - one.arrival) / interval + 1e-6) end
  function one.missing_ms(wanted)
    return math.max(0, math.ceil((wanted * interval - (one.room - (one.arrival - now_us))) / 1000))
  end
  function one.save(lent)
    one.arrival = one.arrival + lent * interval
    local ahead = one.arrival - now_us
    if ahead > 0 then
      local text = string.format('%.0f %.0f %.0f', one.arrival, one.widest, one.heard)
      redis.call('SET', key, text, 'PX', math.ceil(ahead / 1000) + 1)
    else
      redis.call('DEL', key)
    end
  end
  return one
end
"""

# A quota is a hash: when its window ends, what the aligned one before came to, when something was lent last, and for
# each node what it has of the window. A node's part is told apart so that a store that has forgotten it can be told
# again, by the node itself and however often.
_QUOTA: Final = """
local function quota_of(key, maximum, period, kind, node, held, held_left)
  local one = {ends = 0, prev = 0, lent_at = 0, mine = 0, is_new = false}
  local own, others, now = 'n:' .. node, 0, math.floor(now_us / 1000)
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name, value = fields[i], tonumber(fields[i + 1])
    if name == 'ends' then one.ends = value
    elseif name == 'prev' then one.prev = value
    elseif name == 'lent' then one.lent_at = value
    elseif name == own then one.mine = value
    else others = others + value end
  end
  -- A window that is over, or further ahead than it is long (a fail-over to another clock), gives way to the next.
  if one.ends <= now or one.ends > now + period then
    local next_ends = now + period
    if kind ~= 'first_use' then next_ends = now - now % period + period end
    -- Nobody has asked since it was forgotten: it goes on where this node has it.
    if one.ends == 0 and kind == 'first_use' and held > 0 and held_left > 0 then next_ends = now + held_left end
    one.prev = 0
    if kind == 'sliding' and one.ends ~= 0 and next_ends - one.ends <= period then one.prev = one.mine + others end
    one.ends, one.lent_at, one.mine, others, one.is_new = next_ends, 0, 0, 0, true
  end
  one.left_ms = one.ends - now
  -- What the node has, if it speaks of this window and not of the one before.
  if held > one.mine and math.abs(one.left_ms - held_left) < period / 2 then one.mine = held end
  function one.left()
    local left = maximum - one.mine - others
    if kind == 'sliding' then left = left - math.ceil(one.prev * one.left_ms / period) end
    return left
  end
  -- When nothing is left what others have may still come back, until nobody can have anything any more.
  function one.missing_ms(left)
    if left > 0 then return 0 end
    if kind == 'sliding' or now - one.lent_at < 2000 then return math.min(one.left_ms, 1500) end
    return one.left_ms
  end
  function one.save(lent)
    one.mine = one.mine + lent
    if lent > 0 then one.lent_at = now end
    if one.is_new then
      redis.call('DEL', key)
      redis.call('HSET', key, 'ends', string.format('%.0f', one.ends), 'prev', string.format('%.0f', one.prev))
    end
    redis.call('HSET', key, own, string.format('%.0f', one.mine), 'lent', string.format('%.0f', one.lent_at))
    redis.call('PEXPIREAT', key, string.format('%.0f', one.ends + (kind == 'sliding' and period or 0)))
  end
  return one
end
"""

_TIME: Final = """
local t = redis.call('TIME')
local now_us = t[1] * 1000000 + t[2]
"""

_BORROW_RATE: Final = """
-- KEYS bucket. ARGV: interval us, credits it holds, least, wanted, given back, used by oneself, since ms ago, buckets
--   that may be owed.
-- {credits lent: none or least to wanted, ms until there would be as many as wanted}
local rate = rate_of(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[8]))
local least, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])
-- What nodes let in by themselves, while the store was away or slow, took up room as it came.
local used = tonumber(ARGV[6])
if used > 0 then
  rate.arrival = math.max(rate.arrival, now_us - tonumber(ARGV[7]) * 1000) + used * rate.interval
  rate.settle()
end
rate.arrival = rate.arrival - tonumber(ARGV[5]) * rate.interval
rate.settle()
local lent = math.min(wanted, rate.left())
if lent < least then lent = 0 end
rate.save(lent)
return {lent, rate.missing_ms(math.max(least, math.min(wanted, rate.holds)))}
"""

_BORROW_QUOTA: Final = """
-- KEYS quota. ARGV: maximum, period ms, window, node, nodes, least, wanted,
--   given back, of which window, used by oneself, held, of a window that ends in so many ms.
-- {credits lent: none or least to wanted, ms until it is worth to ask for more, end of the window, ms until then}
local quota = quota_of(
  KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[11]), tonumber(ARGV[12]))
local nodes, least, wanted = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if tonumber(ARGV[9]) == quota.ends then quota.mine = math.max(0, quota.mine - tonumber(ARGV[8])) end
quota.mine = quota.mine + tonumber(ARGV[10])
-- The last of a window is lent in small parts, or one node would have it while others are asked for it.
local left = quota.left()
local lent = math.min(wanted, left, math.max(least, math.ceil(left / (2 * nodes))))
if lent < least or lent < 0 then lent = 0 end
local told = 0
if lent < wanted then told = quota.missing_ms(left - lent) end
quota.save(lent)
return {lent, told, quota.ends, quota.left_ms}
"""

_TAKE_ALL: Final = """
-- KEYS of several limits. ARGV of each, eight: 'rate', cost, interval us, credits it holds, and four that are nothing;
--   or 'quota', cost, maximum, period ms, window, node, held, of a window that ends in so many ms;
--   or 'permits', one more than are under way there, maximum, node, turn, needed, wanted, ms that it is remembered.
-- {number of the first that has not so much from 0, else -1, ms until it is worth to ask again,
--  then of each: end of its window, ms until then; or permits lent, nodes that have some}
local function one_more_of(permits, used, needed, wanted)
  local one = {}
  function one.left() return permits.is_late and 0 or permits.left() end
  function one.save()
    one.ends, one.left_ms = math.min(wanted, permits.left()), permits.nodes
    permits.save(one.ends, used, needed)
  end
  -- That it misses one is remembered.
  function one.missing_ms()
    if not permits.is_late then one.save() end
    return 0
  end
  return one
end
local limits, answer, refused, told = {}, {}, -1, 0
for i = 1, #KEYS do
  local at = (i - 1) * 8
  local cost = tonumber(ARGV[at + 2])
  local one
  if ARGV[at + 1] == 'rate' then
    one = rate_of(KEYS[i], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), 1)
    one.settle()
  elseif ARGV[at + 1] == 'permits' then
    local permits = permits_of(
      KEYS[i], tonumber(ARGV[at + 3]), ARGV[at + 4], tonumber(ARGV[at + 5]), tonumber(ARGV[at + 8]))
    one = one_more_of(permits, cost - 1, tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]))
  else
    one = quota_of(KEYS[i], tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6],
      tonumber(ARGV[at + 7]), tonumber(ARGV[at + 8]))
  end
  limits[i] = one
  if refused < 0 and one.left() < cost then
    refused = i - 1
    told = one.holds and one.missing_ms(cost) or one.missing_ms(one.left())
  end
end
answer[1], answer[2] = refused, told
for i = 1, #KEYS do
  if refused < 0 then limits[i].save(tonumber(ARGV[(i - 1) * 8 + 2])) end
  answer[2 * i + 1], answer[2 * i + 2] = limits[i].ends or 0, limits[i].left_ms or 0
end
return answer
"""

# Permits are a hash: of each node what it is lent, what is under way there, when it was heard, and the turn of the
# question that it was heard with. What a node says is the whole of what it has, so that nothing is counted twice, or
# for ever, whatever was lost on the way. And which node was last refused what it needs of its part, when, and how much:
# that is kept for it for two seconds, and others hear of it.
_PERMITS: Final = """
local function permits_of(key, maximum, node, turn, life)
  local one = {others = 0, nodes = 1, lent = 0, is_late = false, missing = 0, missed_at = 0, is_missed = false}
  local now = math.floor(now_us / 1000)
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name == 'short' then
      local who, at, missing = string.match(fields[i + 1], '(%S+) (%d+) (%d+)')
      one.is_missed = who == node
      if now - tonumber(at) < 2000 then one.missing, one.missed_at = tonumber(missing), tonumber(at) end
    else
      local lent, used, heard, its_turn = string.match(fields[i + 1], '(%d+) (%d+) (%d+) (%d+)')
      heard = tonumber(heard)
      if heard <= now - life then redis.call('HDEL', key, name)
      elseif name == node then
        one.lent = tonumber(lent)
        -- Turns come round: a later one is less than half of them ahead.
        local behind = (tonumber(its_turn) - turn) % 16777216
        one.is_late = behind > 0 and behind < 8388608
      else
        one.others = one.others + math.max(tonumber(lent), tonumber(used))
        one.nodes = one.nodes + 1
        -- Heard by a clock that was ahead, before a fail-over or a step back: from now on its time counts.
        if heard > now then
          redis.call('HSET', key, name, string.format('%s %s %.0f %s', lent, used, now, its_turn))
        end
      end
    end
  end
  if one.is_missed then one.missing = 0 end
  -- What is kept for another is not lent; but nobody is lent less than he has because of it, as he may not hear of it.
  function one.left()
    local left = math.max(0, maximum - one.others)
    return math.max(0, left - one.missing, math.min(left, one.lent))
  end
  function one.save(lent, used, needed)
    if used == 0 and needed == 0 and lent == 0 then redis.call('HDEL', key, node)
    else redis.call('HSET', key, node, string.format('%.0f %.0f %.0f %.0f', lent, used, now, turn)) end
    local part = maximum > 0 and math.max(1, math.floor(maximum / one.nodes)) or 0
    local missing = math.min(needed, part) - math.max(lent, used)
    if missing > 0 then redis.call('HSET', key, 'short', string.format('%s %.0f %.0f', node, now, missing))
    elseif one.is_missed then redis.call('HDEL', key, 'short') end
    redis.call('PEXPIRE', key, life)
  end
  return one
end
"""

_HOLD_PERMITS: Final = """
-- KEYS permits. ARGV: maximum, node, turn of its question, ms after which it is forgotten, under way there, needed,
--   wanted.
-- {permits lent: none to wanted; -1 where it has asked again since; nodes that have some;
--  how many another node misses of its part, and since when}
local used, needed, wanted = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local permits = permits_of(KEYS[1], tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
if permits.is_late then return {-1, permits.nodes, 0, 0} end
local lent = math.min(wanted, permits.left())
permits.save(lent, used, needed)
return {lent, permits.nodes, permits.missing, permits.missed_at}
"""

_COUNT_NODES: Final = """
-- KEYS sorted set of nodes by when they were heard. ARGV: this node, ms after which one is gone. How many there are.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
-- Heard by a clock that was ahead, before a fail-over or a step back: who is there still says so again in a second.
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + tonumber(ARGV[2]), '+inf')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""

borrow_quota = Script(_TIME + _QUOTA + _BORROW_QUOTA)
borrow_rate = Script(_TIME + _RATE + _BORROW_RATE)
take_all = Script(_TIME + _RATE + _QUOTA + _PERMITS + _TAKE_ALL)
hold_permits = Script(_TIME + _PERMITS + _HOLD_PERMITS)
count_nodes = Script(_COUNT_NODES)
