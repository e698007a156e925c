"""What this worker sees of its peers and of waiting, told once a second; and whether the gateway suspects itself."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.memory.meters cimport Meters
from tidegate.upstream.endpoint cimport Endpoint

cdef enum:
    CLIENT_WORDS = 8            # of 64 bits: clients are told apart by the hash of their address

cdef class Witness:
    # process
    cdef Meters meters
    cdef object mapping                     # keeps ``suspected_until`` alive
    cdef const uint64_t* suspected_until    # monotonic nanoseconds; written by control
    cdef set told                           # series whose gauges are not zero
    # the second that is under way
    cdef uint64_t second_ends_ms
    cdef uint64_t[8] clients_asked
    cdef uint64_t[8] clients_failing
    cdef uint64_t waited_ns                 # longest wait
    cdef uint64_t waited_before_ns          # … of the second before
    cdef uint64_t next_look_ns              # when a client's wait is looked at again
    cdef int looks                          # since it was last asked how long all have waited
    cdef uint64_t read_wait_ns              # the shortest of them
    cdef inline void client_asked(self, uint32_t address_hash) noexcept:
        self.clients_asked[address_hash >> 6 & 7] |= <uint64_t>1 << (address_hash & 63)
    cdef void client_failed(self, uint32_t address_hash) noexcept
    # How long a client's bytes have waited to be read. Not for one that closes: the kernel would say how long it has rested.
    cdef inline void look(self, int fd, uint64_t now_ns) noexcept:
        if now_ns >= self.next_look_ns:
            self.look_now(fd, now_ns)
    cdef void look_now(self, int fd, uint64_t now_ns) noexcept
    cdef void waited(self, uint64_t wait_ns) noexcept
    cdef void waited_to_be_read(self, uint64_t wait_ns) noexcept
    cdef uint64_t take_read_wait(self) noexcept        # how long all have waited to be read, since this was asked last
    cdef bint is_suspected(self, uint64_t now_ns) noexcept
    # Ends what began with ``Endpoint.started``. While the gateway suspects itself a failure is not held against anybody.
    cdef void endpoint_ended(self, Endpoint endpoint, uint64_t latency_ns, uint64_t now_ns, bint failed) noexcept

cdef uint32_t hash_of(bytes address) noexcept
