"""What the access log is told of an exchange."""

from tidegate.exchange.state cimport ExchangeState

cdef void write_record(ExchangeState x, int event)          # an access_log.LogEvent
