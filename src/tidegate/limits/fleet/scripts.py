"""What runs in the store. Time is the store's own (TIME), so that no node's clock matters.

Each script is one atomic step on one key, and says what it takes and returns in its first lines.
"""

from typing import Final

from tidegate.redis.scripts import Script

__all__ = ["borrow_quota", "borrow_rate", "count_nodes"]

# The bucket of a rate is its theoretical arrival time (GCRA), in microseconds of the store's clock. Numbers are
# doubles: exact to 2^53 us, the year 2255. A key lives until its bucket is full again, and equals an absent one then.
_BORROW_RATE: Final = """
-- KEYS bucket. ARGV: interval us, credits it holds, least, wanted, given back, used by oneself, since ms ago.
-- {credits lent: none or least to wanted, ms until there would be as many as wanted}
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, holds = tonumber(ARGV[1]), tonumber(ARGV[2])
local least, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])
local arrival = tonumber(redis.call('GET', KEYS[1]) or '0')
local room = interval * holds
-- What nodes let in by themselves, while the store was away, took up room as it came; and never more than there is.
local used = tonumber(ARGV[6])
if used > 0 then
  arrival = math.min(math.max(arrival, now - tonumber(ARGV[7]) * 1000) + used * interval, now + room)
end
arrival = math.max(arrival - tonumber(ARGV[5]) * interval, now)
-- Of a rate that has been lowered, or a clock that was set back, no more is owed than a whole bucket.
arrival = math.min(arrival, now + room)
local lent = math.min(wanted, math.floor((now + room - arrival) / interval + 1e-6))
if lent < least then lent = 0 end
arrival = arrival + lent * interval
local ahead = arrival - now
if ahead > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil(ahead / 1000) + 1)
else
  redis.call('DEL', KEYS[1])
end
local missing = math.max(least, math.min(wanted, holds)) * interval - (room - ahead)
return {lent, math.max(0, math.ceil(missing / 1000))}
"""

# A quota is a hash: when its window ends, what the aligned one before came to, when something was lent last, and for
# each node what it has of the window. A node's part is told apart so that a store that has forgotten it can be told
# again, by the node itself and however often.
_BORROW_QUOTA: Final = """
-- KEYS quota. ARGV: maximum, period ms, window, node, nodes, least, wanted,
--   given back, of which window, used by oneself, held, of a window that ends in so many ms.
-- {credits lent: none or least to wanted, ms until it is worth to ask for more, end of the window, ms until then}
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local maximum, period, kind = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local own = 'n:' .. ARGV[4]
local nodes, least, wanted = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local held, held_left = tonumber(ARGV[11]), tonumber(ARGV[12])

local fields = redis.call('HGETALL', KEYS[1])
local ends, prev, lent_at, mine, others = 0, 0, 0, 0, 0
for i = 1, #fields, 2 do
  local name, value = fields[i], tonumber(fields[i + 1])
  if name == 'ends' then ends = value
  elseif name == 'prev' then prev = value
  elseif name == 'lent' then lent_at = value
  elseif name == own then mine = value
  else others = others + value end
end

-- A window that is over, or further ahead than it is long (a fail-over to another clock), gives way to the next.
if ends <= now or ends > now + period then
  local next_ends = now + period
  if kind ~= 'first_use' then next_ends = now - now % period + period end
  -- Nobody has asked since it was forgotten: it goes on where this node has it.
  if ends == 0 and kind == 'first_use' and held > 0 and held_left > 0 then next_ends = now + held_left end
  prev = 0
  if kind == 'sliding' and ends ~= 0 and next_ends - ends <= period then prev = mine + others end
  ends, lent_at, mine, others = next_ends, 0, 0, 0
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'ends', string.format('%.0f', ends), 'prev', string.format('%.0f', prev))
end
local left_ms = ends - now

-- What the node has, if it speaks of this window and not of the one before.
if held > mine and math.abs(left_ms - held_left) < period / 2 then mine = held end
if tonumber(ARGV[9]) == ends then mine = math.max(0, mine - tonumber(ARGV[8])) end
mine = mine + tonumber(ARGV[10])

local left = maximum - mine - others
if kind == 'sliding' then left = left - math.ceil(prev * left_ms / period) end
-- The last of a window is lent in small parts, or one node would have it while others are asked for it.
local lent = math.min(wanted, left, math.max(least, math.ceil(left / (2 * nodes))))
if lent < least or lent < 0 then lent = 0 end
mine = mine + lent
if lent > 0 then lent_at = now end
redis.call('HSET', KEYS[1], own, string.format('%.0f', mine), 'lent', string.format('%.0f', lent_at))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends + (kind == 'sliding' and period or 0)))

-- When nothing is left what others have may still come back, until nobody can have anything any more.
local told = 0
if lent < wanted then
  told = left_ms
  if left - lent > 0 then told = 0
  elseif kind == 'sliding' or now - lent_at < 2000 then told = math.min(left_ms, 1500) end
end
return {lent, told, ends, left_ms}
"""

_COUNT_NODES: Final = """
-- KEYS sorted set of nodes by when they were heard. ARGV: this node, ms after which one is gone. How many there are.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""

borrow_quota = Script(_BORROW_QUOTA)
borrow_rate = Script(_BORROW_RATE)
count_nodes = Script(_COUNT_NODES)
