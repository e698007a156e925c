"""Exchanges that wait for their turn, in order."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState

cdef class DelayQueue:
    cdef object reactor                     # net.Reactor
    cdef list heap                          # (due_ns, order of coming, exchange, its number)
    cdef uint64_t came
    cdef Py_ssize_t left                    # entries of those who have left
    cdef object handle                      # of the loop's timer; None while nobody waits
    cdef uint64_t armed_ns                  # what it is set for
    cdef int put(self, ExchangeState x, uint64_t due_ns) except -1
    cdef int leave(self) except -1          # one of those who wait does so no more
