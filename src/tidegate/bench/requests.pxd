"""What a load sends: whole requests, made before it begins, in a ring."""

from libc.stdint cimport uint8_t

cdef class Requests:
    cdef list texts             # bytes: head and body, or a WebSocket frame
    cdef bytes heads            # 1 for each that is a HEAD, whose answer has no body
    cdef Py_ssize_t count
    cdef Py_ssize_t at
    cdef bytes next(self)
    cdef bint is_head           # the one that ``next`` gave
