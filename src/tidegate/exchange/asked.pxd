"""What the key of a limit may be made of, as an exchange has it."""

from tidegate.exchange.state cimport ExchangeState
from tidegate.limits.keys cimport Asked

cdef void fill_asked(ExchangeState x, Asked* asked)
