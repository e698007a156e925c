"""What came of a load: latencies by status, errors by kind, and the same second by second."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.bench.histogram cimport Histogram

cdef class Second:
    """One second of a load, by when things happened in it."""
    cdef readonly int64_t at            # seconds from the beginning of what is counted; the warm-up is below zero
    cdef readonly uint64_t due          # requests that should have begun
    cdef readonly uint64_t sent
    cdef readonly uint64_t failed
    cdef uint64_t[6] classes            # answers by the first digit of their status
    cdef readonly Histogram latency     # of the answers, from when they were due

cdef class Outcome:
    """Answers of one status."""
    cdef readonly int status
    cdef readonly Histogram latency
    cdef readonly Histogram service

cdef class Tally:
    cdef list by_status                 # an Outcome or None for each status
    cdef dict kinds                     # of error: [how many, the first one's words]
    cdef readonly Histogram late        # how late the generator itself sent, with a client free
    cdef readonly Histogram connect     # how long connections took to be usable
    cdef readonly uint64_t due
    cdef readonly uint64_t sent         # of those due, before the end
    cdef readonly uint64_t in_time      # answers that came before the end
    cdef readonly uint64_t waited       # of those due, for a client to be free
    cdef readonly uint64_t unsent       # of those due: no client was free for as long as they had patience
    cdef readonly uint64_t lost         # connections that the server closed while they were idle
    cdef Second second
    cdef readonly list seconds          # those that are over, if nobody else takes them: 40 KB each
    cdef object on_second
    cdef void answered(self, int status, uint64_t latency_ns, uint64_t service_ns)
    cdef void failed(self, str kind, str detail)
    cdef void turn_second(self, int64_t at)
