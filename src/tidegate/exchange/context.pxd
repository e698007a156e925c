"""What all exchanges of one worker share."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from tidegate.exchange.shedding cimport Shedder
from tidegate.exchange.witness cimport Witness
from tidegate.memory.fingerprints cimport Fingerprints
from tidegate.memory.hitters cimport Hitters
from tidegate.memory.meters cimport Meters
from tidegate.net.reactor cimport Reactor

cdef class Context:
    # process
    cdef readonly Reactor reactor
    cdef readonly object loop
    cdef Meters meters
    cdef readonly Witness witness
    cdef readonly object delays             # delays.DelayQueue
    cdef readonly object permits            # permits.PermitQueue
    cdef object refusals                    # refusal.Refusals
    cdef Hitters hitters                    # who asks most
    cdef Fingerprints askers                # of those who ask a route
    cdef readonly Shedder shedder
    cdef readonly object error_log          # .say(kind, message, **fields)
    cdef const uint64_t* snapshot_word      # number of the active snapshot
    cdef object switch_plan                 # called when the word names another than the active one
    cdef uint64_t[2] random_state
    cdef uint64_t last_serial               # of connections, both sides
    # snapshot
    cdef object plan                        # plan.Plan: the active one
    # now
    cdef bint is_draining
    cdef list spare                         # exchanges to use again
    cdef long exchanges                     # in flight
    cdef uint64_t date_second               # that ``date_line`` was made for
    cdef bytes date_text
    cdef uint64_t next_random(self) noexcept
    cdef bytes date(self)                   # IMF-fixdate, made once a second
    cdef int64_t real_us(self) noexcept
    cdef bytes render_extra(self, dict fields)          # members for the end of a JSON log line
