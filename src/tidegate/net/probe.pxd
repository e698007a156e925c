"""A channel whose life a test can script and watch."""

from libc.stdint cimport uint32_t

from tidegate.net.reactor cimport Channel

cdef class ProbeChannel(Channel):
    cdef readonly list happened             # ("event", mask), ("ready",), ("deadline",), ("fault", error)
    cdef object action                      # called with the channel after each of them
    cdef void _note(self, tuple what)
