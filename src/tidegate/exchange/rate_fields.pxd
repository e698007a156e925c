"""The ``RateLimit`` fields of answers to those who were let in."""

from tidegate.exchange.admission cimport Admission

# Adds those of the limits that are to be told of on every answer.
cdef int add_rate_fields(Admission x) except -1
