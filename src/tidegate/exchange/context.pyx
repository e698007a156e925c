"""What all exchanges of one worker share: clock, meters, log, active snapshot, and the objects kept for use again."""

from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcpy
from libc.time cimport gmtime_r, time_t, tm

from tidegate.exchange.shedding cimport Shedder
from tidegate.net.syscalls cimport CLOCK_REALTIME, clock_gettime, timespec

import os

import msgspec

from tidegate.config.log_fields import FIELDS

# A JSON line has each name once: a filter's field of one of these names goes out as "filter_NAME".
cdef frozenset RESERVED = frozenset({field.name for field in FIELDS} | {"extra_dropped"})


cdef const char** DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
cdef const char** MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


cpdef bytes http_date(int64_t unix_s):
    """IMF-fixdate (RFC 9110 section 5.6.7). Not ``strftime``, which asks the locale, nor email.utils, which loads half of
    the email package into each worker."""
    cdef time_t at = unix_s
    cdef tm parts
    cdef char[96] text
    gmtime_r(&at, &parts)
    cdef int size = snprintf(
        text, sizeof(text), b"%s, %02d %s %04d %02d:%02d:%02d GMT", DAYS[parts.tm_wday], parts.tm_mday,
        MONTHS[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec,
    )
    return text[:size]


cdef class Context:
    """What the worker has of each; ``switch_plan()`` makes the snapshot active that the shared word names."""

    def __init__(self, reactor, meters, error_log, switch_plan, witness, delays, permits, refusals, hitters, askers):
        self.reactor = reactor
        self.loop = self.reactor.loop
        self.meters = meters
        self.error_log = error_log
        self.witness = witness
        self.delays = delays
        self.permits = permits
        self.refusals = refusals
        self.hitters = hitters
        self.askers = askers
        self.shedder = Shedder(meters, error_log.say)
        self.switch_plan = switch_plan
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
            self.date_text = http_date(self.real_us() // 1000000)
        return self.date_text

    cdef int64_t real_us(self) noexcept:
        cdef timespec time
        clock_gettime(CLOCK_REALTIME, &time)
        return <int64_t>time.tv_sec * 1000000 + time.tv_nsec // 1000

    cdef bytes render_extra(self, dict fields):
        cdef list members = []
        for name, value in fields.items():
            if type(name) is not str:
                self.error_log.say("log_field", f"names in request.log are str, not {type(name).__name__}")
                continue
            if name in RESERVED:
                name = f"filter_{name}"
                while name in fields:
                    name = f"filter_{name}"
            try:
                members.append(msgspec.json.encode(name) + b":" + msgspec.json.encode(value))
            except Exception as error:
                self.error_log.say("log_field", f"request.log[{name!r}] has no place in JSON: {error}")
        return b"," + b",".join(members) if members else b""
