"""Whether a worker has too much to do, and whom it refuses then."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.exchange.problem_body cimport ProblemBody
from tidegate.exchange.views cimport Response
from tidegate.memory.meters cimport Meters

cdef enum ShedReason:           # where the series of a class counts it
    SHED_LOOP_LAG = 0
    SHED_MEMORY
    SHED_IN_FLIGHT
    SHED_REASONS

cdef class Shedder:
    # bounds; 0: none
    cdef double lag_bound_s
    cdef long in_flight_bound
    cdef object memory                      # observe.MemoryUse; None
    # classes
    cdef tuple names
    cdef int count
    cdef list series                        # of each class in the meters; None: not made yet
    # now
    cdef readonly double level              # classes that are shed: 1.3 is the last one, and three in ten of the next
    cdef int reason
    cdef double memory_pressure
    cdef long shed_count                    # since it was said
    cdef uint64_t judged_ns
    cdef uint64_t memory_ns
    cdef uint64_t calm_ns                   # since when nothing is shed
    cdef uint64_t began_ns                  # 0: it sheds nothing
    # process
    cdef Meters meters
    cdef object say
    cdef ProblemBody body
    cdef bytes head                         # with a body of ``body_size``
    cdef Py_ssize_t body_size
    # Asked for each request: whether it may be that it is shed.
    cdef inline bint is_on(self, long in_flight) noexcept:
        return self.level > 0 or (self.in_flight_bound != 0 and in_flight > self.in_flight_bound)
    cdef bint sheds(self, unsigned rank, long in_flight, uint64_t random) noexcept     # counts it, if so
    cdef Response answer_to(self, const char* id, size_t size)
