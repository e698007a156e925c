"""Counts a finished exchange for whoever asked: the keys of its limits, and of its route."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState

# What its upstream was busy with it: until the answer was whole, of an upgrade until the switch. 0: none was asked.
cdef uint64_t upstream_ns(ExchangeState x, uint64_t now_ns) noexcept
cdef void count_hitters(ExchangeState x, uint64_t took_ns)      # took_ns: upstream_ns
