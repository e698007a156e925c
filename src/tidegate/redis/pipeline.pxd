"""Commands out and replies in, in order: the part of a lane that every command passes."""

from libc.stdint cimport int64_t

from tidegate.redis.meters cimport CommandMeter, Meters, PrefixMeter

cdef class Command:
    """One command in flight."""
    cdef readonly object future
    cdef readonly tuple args
    cdef readonly int64_t size
    cdef CommandMeter meter
    cdef PrefixMeter prefix

cdef class Pipeline:
    # process
    cdef readonly object loop
    cdef object new_future
    cdef object call_soon
    cdef readonly Meters meters
    cdef readonly int64_t max_commands
    cdef readonly int64_t max_bytes
    cdef readonly int64_t batch
    cdef readonly double linger_s
    cdef readonly double timeout_s
    # connection
    cdef readonly object connection
    cdef object write_bytes
    # commands in flight, oldest first; (count, handed over at) of each turn, the oldest of which is taken apart
    cdef object in_flight
    cdef object turns
    cdef int64_t flying
    cdef int64_t turn_left
    cdef double turn_at
    cdef int64_t new            # since the last flush
    cdef readonly int64_t expired       # of the oldest: their deadline has passed
    cdef readonly int64_t bytes_in_flight
    # to be written: whole commands; a large one as its arguments, and the rest of one that is under way
    cdef object out
    cdef int64_t out_bytes
    cdef int64_t large
    cdef object rest
    # callers who wait for room or a connection
    cdef readonly object waiting
    # the loop's turn
    cdef bint is_scheduled
    cdef object linger
    cdef bint is_timed          # somebody looks after deadlines
    cdef double held_s
    cdef double resumed_at
    cdef readonly double heard_at
    cdef public int64_t failures
    # counters
    cdef readonly int64_t writes, commands, bytes_out, bytes_in, dropped
    cdef double now(self) noexcept
    cdef bytes next_piece(self)
    cdef void send_now(self, object future, tuple args) except *
    cdef void put(self, object future, tuple args, CommandMeter meter, PrefixMeter prefix) except *
