"""What all exchanges of one worker share: clock, meters, log, active snapshot, and the objects kept for use again."""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from tidegate.net.syscalls cimport CLOCK_REALTIME, clock_gettime, timespec

import os
from email.utils import formatdate

import msgspec


cdef class Context:
    """reactor, meters and error_log of the worker; ``switch_plan()`` makes the snapshot active that the shared word names."""

    def __init__(self, reactor, meters, error_log, switch_plan):
        self.reactor = reactor
        self.loop = self.reactor.loop
        self.meters = meters
        self.error_log = error_log
        self.switch_plan = switch_plan
        self.trusted = TrustedRanges()
        self.spare = []
        seed = os.urandom(16)
        memcpy(self.random_state, <const char*>seed, 16)
        self.random_state[0] |= 1

    cdef uint64_t next_random(self) noexcept:
        # xorshift128+ (Vigna 2014): request ids have to be different, not secret.
        cdef uint64_t a = self.random_state[0]
        cdef uint64_t b = self.random_state[1]
        self.random_state[0] = b
        a ^= a << 23
        self.random_state[1] = a ^ b ^ (a >> 17) ^ (b >> 26)
        return self.random_state[1] + b

    cdef bytes date(self):
        cdef uint64_t second = self.reactor.now_ns // 1000000000
        if second != self.date_second or self.date_text is None:
            self.date_second = second
            self.date_text = formatdate(usegmt=True).encode()
        return self.date_text

    cdef int64_t real_us(self) noexcept:
        cdef timespec time
        clock_gettime(CLOCK_REALTIME, &time)
        return <int64_t>time.tv_sec * 1000000 + time.tv_nsec // 1000

    cdef bytes render_extra(self, dict fields):
        try:
            rendered = msgspec.json.encode(fields)
            return b"," + rendered[1:len(rendered) - 1] if fields else b""
        except (TypeError, ValueError) as error:
            self.error_log.say("log_field", f"a field of request.log has no place in JSON: {error}")
            return b""
