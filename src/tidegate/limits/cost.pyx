"""What one request takes of a limit.

A constant, or what a field of the request says, is known when the request comes. What is measured, seconds of an upstream or
bytes of the answer, is known when it has ended: beforehand the recent mean of its route is charged, at the end the difference.
The mean moves by an eighth of what a request differs from it, as round-trip times do (Jacobson: "Congestion Avoidance and
Control", SIGCOMM 1988). Until the first request has ended one unit is charged, or an eighth of what the limit holds: not all who
come in the first moment are refused because nothing is known of them.

Nothing is predicted to cost more than the limit holds, or a route whose mean has grown beyond that would be refused for good,
and its mean never fall again; what it really takes is charged at the end, and those who come next wait for it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from tidegate.limits.keys cimport Asked, ask_of
from tidegate.wire.http1 cimport RequestHead, Span
from tidegate.wire.parameters cimport field_of, only_field_of

from tidegate.config.limit_cost import COST_MAX, parse_cost, parse_cost_unit

cdef dict KINDS = {
    "constant": COST_CONSTANT, "header": COST_HEADER, "upstream.seconds": COST_SECONDS, "response.bytes": COST_BYTES,
}
cdef double SECOND_NS = 1e9
cdef double MEAN_GAIN = 0.125
cdef double FIRST_ONES = 8
cdef double MOST = COST_MAX


cdef double _number(const char* text, size_t size) noexcept nogil:
    """A whole number of 1 or more; 0: it is none, or has too many digits."""
    cdef double found = 0
    cdef size_t i
    if size > 7:
        return 0
    for i in range(size):
        if not c"0" <= text[i] <= c"9":
            return 0
        found = found * 10 + (text[i] - c"0")
    return found


cdef class CostMean:

    cdef void learn(self, double taken) noexcept:
        if self.has_value:
            self.value += MEAN_GAIN * (taken - self.value)
        else:
            self.value = taken
            self.has_value = True

    def learned(self, double taken):
        self.learn(taken)
        return self.value

    def __repr__(self):
        return f"<CostMean {self.value:g}>"


cdef class Cost:
    """settings: config.Limit."""

    def __init__(self, settings):
        found = parse_cost(settings.cost)
        self.kind = KINDS[found.source]
        self.constant = found.number
        self.is_measured = found.is_measured
        self.field = found.name.encode()
        self.most = settings.cost_max or 0
        self.unit = 1
        if self.kind == COST_SECONDS:
            self.unit = SECOND_NS * (parse_cost_unit(settings.cost_unit, found.source) if settings.cost_unit else 1)
        elif self.kind == COST_BYTES and settings.cost_unit:
            self.unit = parse_cost_unit(settings.cost_unit, found.source)

    cdef double beforehand(self, const Asked* asked, double holds, CostMean mean) noexcept:
        cdef double most, found
        cdef const char* name
        cdef size_t size
        cdef Span value
        if self.kind == COST_CONSTANT:
            return self.constant
        if self.is_measured:
            if mean is None or not mean.has_value:
                return 1 if holds > FIRST_ONES else holds / FIRST_ONES
            return mean.value if mean.value < holds else holds
        name = PyBytes_AS_STRING(self.field)
        size = PyBytes_GET_SIZE(self.field)
        most = self.most if self.most > 0 else holds if holds < MOST else MOST
        if only_field_of(asked.head, asked.raw, name, size, &value):
            found = _number(asked.raw + value.start, value.size)
            return found if 1 <= found <= most else most
        # One that is there twice may be read otherwise by whoever set it.
        return most if field_of(asked.head, asked.raw, name, size, &value) else 1

    cdef double measured(self, uint64_t upstream_ns, uint64_t response_bytes) noexcept:
        return <double>(upstream_ns if self.kind == COST_SECONDS else response_bytes) / self.unit

    def of(self, bytes head not None, double holds, CostMean mean=None):
        cdef RequestHead parsed
        cdef Asked asked
        ask_of(head, &parsed, &asked)
        return self.beforehand(&asked, holds, mean)

    def settled(self, uint64_t upstream_ns, uint64_t response_bytes):
        return self.measured(upstream_ns, response_bytes)

    def __repr__(self):
        kind = {kind: name for name, kind in KINDS.items()}[self.kind]
        return f"<Cost {self.constant:g}>" if self.kind == COST_CONSTANT else f"<Cost by {kind}>"
