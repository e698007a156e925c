"""What a listener's options mean for its connections; made once for each snapshot that changes them."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.wire.http1 cimport HeadLimits

cdef class ConnectionSettings:
    cdef HeadLimits limits
    cdef uint64_t head_timeout_ms
    cdef uint64_t idle_timeout_ms
    cdef uint64_t body_timeout_ms
    cdef uint64_t lingering_timeout_ms
    cdef int64_t max_body                   # -1: none
    cdef uint64_t max_uses                  # 0: none
    cdef bint allows_underscores
    cdef bint aborts_on_half_close
