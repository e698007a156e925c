"""What an exchange teaches the adaptive limits that it was let in by."""

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.group cimport Group
from tidegate.limits.limit cimport Member

# Its permits are there, and an endpoint is asked now: what it takes from here on is the upstream's time.
cdef void begin_lesson(ExchangeState x, Group group, Member* members) noexcept
# The head of the upstream's answer has come.
cdef void hear_waiting(ExchangeState x, Group group, Member* members) noexcept
# It has ended, or this attempt; ``kind``: errors.Kind of what failed, None: nothing did. Once for each ``begin_lesson``.
cdef void teach(ExchangeState x, Group group, Member* members, object kind) noexcept
