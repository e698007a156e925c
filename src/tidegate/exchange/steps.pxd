"""The filters of an exchange, one after the other, in the callback or in a task."""

from libc.stdint cimport uint64_t

from tidegate.exchange.forward cimport Forward
from tidegate.exchange.plan cimport Step

cdef class Steps(Forward):
    cdef void run_request_filters(self)                 # and then ``pick``
    cdef void run_response_filters(self)                # and then ``send_head``
    cdef void start_async(self, Step step, object argument, object awaited)
    cdef void go_on(self, Step step, uint64_t number, bint is_response, object result, object failure)
    cdef void answered_by(self, Step step, object result)
    # the rest of the exchange
    cdef void send_head(self)
