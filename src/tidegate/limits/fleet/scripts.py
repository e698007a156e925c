"""What runs in the store. Time is the store's own (TIME), so that no node's clock matters.

Each script is one atomic step on one key, and says what it takes and returns in its first lines.
"""

from typing import Final

from tidegate.redis.scripts import Script

__all__ = ["borrow_rate", "count_nodes"]

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

_COUNT_NODES: Final = """
-- KEYS sorted set of nodes by when they were heard. ARGV: this node, ms after which one is gone. How many there are.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""

borrow_rate = Script(_BORROW_RATE)
count_nodes = Script(_COUNT_NODES)
