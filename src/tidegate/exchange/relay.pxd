"""Bytes between the two sides of an exchange: framing, bodies, back-pressure."""

from libc.stdint cimport uint64_t

from tidegate.exchange.state cimport ExchangeState
from tidegate.wire.http1 cimport ChunkedDecoder

cdef enum:
    HIGH_WATER = 131072         # a side with more than this waiting to be sent pauses the other

# Takes chunk framing out in place: the data of all chunks in ``data`` is moved together at its beginning. ``taken``: bytes
# used up; ``run``: bytes of data. A wire verdict.
cdef int unchunk(ChunkedDecoder* decoder, char* data, size_t size, size_t* taken, size_t* run) noexcept

cdef class Relay(ExchangeState):
    # towards the upstream
    cdef int send_request(self)                                     # head, and what is there of the body; -1: failed
    cdef int send_request_data(self, char* data, size_t size, bint is_last)     # -1: the upstream is gone
    cdef bint takes_request_data(self) noexcept
    cdef ssize_t splice_request(self)       # moves body bytes on by itself: bytes, READ_*, or NOT_SPLICED
    # towards the client
    cdef void begin_answer(self, char* body, size_t size)           # the head, and what is there of the body
    cdef int send_switch(self)                                      # 101
    cdef void relay_answer(self, char* data, size_t size)           # more of the body
    cdef bint answer_can_be_spliced(self) noexcept
    cdef void end_answer_at_eof(self, bint is_truncated)
    cdef void _relay(self, bint with_head, char* data, size_t size)
    cdef int _send_answer(self, bint with_head, char* data, size_t size, bint is_last)
    cdef void _let_client_catch_up(self) noexcept
    cdef bytes _through(self, tuple steps, char* data, size_t size, bint is_last)
    # decisions, in ``Exchange``
    cdef void answer_complete(self, bint upstream_is_reusable)
    cdef void answer_broken(self, object kind, str detail)
    cdef void upstream_write_failed(self)
    cdef void client_failed(self)
    cdef void fault(self, object error, str where)
