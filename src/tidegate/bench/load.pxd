"""The driver of a load: takes what is due, hands it to a free client, counts what becomes of it."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.bench.client cimport Client, Crew
from tidegate.bench.loop cimport Loop
from tidegate.bench.requests cimport Requests
from tidegate.bench.schedule cimport Schedule
from tidegate.bench.tally cimport Tally

cdef class Load(Crew):
    # what was asked for
    cdef Loop loop
    cdef Requests requests
    cdef Schedule schedule          # None: closed loop
    cdef uint64_t patience_ns       # from when it was due to its answer
    cdef object is_to_stop
    # time, on CLOCK_MONOTONIC
    cdef readonly uint64_t start_ns     # the schedule begins
    cdef uint64_t count_ns          # what is due from here on is counted
    cdef uint64_t end_ns            # nothing is due from here on
    cdef readonly uint64_t stopped_ns   # when it was stopped before its end; 0: it was not
    cdef uint64_t next_due_ns
    cdef uint64_t next_second_ns
    # clients
    cdef list clients
    cdef void** free                # borrowed from ``clients``: a ring, first come first served, so that all are used
    cdef size_t free_from
    cdef size_t free_count
    cdef list resting               # closed loop: failed, and tried again at the next tick
    cdef readonly long busy         # clients with an exchange under way
    cdef readonly long usable       # while they are opened: those that are
    cdef readonly long broken       # … and those that failed
    cdef readonly object trouble    # kind and words of the first that did, or None
    cdef bint is_opening
    # due, and no client was free
    cdef uint64_t* waiting          # a ring of moments
    cdef size_t waiting_from
    cdef size_t waiting_count
    cdef size_t waiting_room
    # what came of it
    cdef readonly Tally tally
    cdef void take_on(self, Client client, uint64_t due_ns)
    cdef void launch(self)
    cdef void go_on(self, Client client)
    cdef void advance(self)
    cdef void put_free(self, Client client) noexcept
    cdef Client take_free(self)
    cdef int put_waiting(self, uint64_t due_ns) except -1
    cdef uint64_t take_waiting(self) noexcept
    cdef void turn_second(self)
