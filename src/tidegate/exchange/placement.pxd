"""Which endpoint gets a request, where endpoints have limits of their own."""

from libc.stdint cimport int64_t

from tidegate.exchange.admission cimport Admission
from tidegate.limits.group cimport Group
from tidegate.limits.keys cimport Asked
from tidegate.limits.limit cimport Moment
from tidegate.upstream.endpoint cimport Endpoint

cdef class Placement(Admission):
    # Nanoseconds until that endpoint may have it: 0 is now; FULL: its limits refuse.
    cdef int64_t look_at(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now)
    # Takes the permits there and charges, if all of that can be had now; False: nothing of it was.
    cdef bint take(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now)
    # The next endpoint that has room, with what it needs taken; else the one with the soonest turn, ``wait_ns`` ahead.
    cdef Endpoint scan(self, Group group, Asked* asked, const Moment* now, int64_t* wait_ns)
    cdef Endpoint resume(self, Group group, Asked* asked, const Moment* now)
    cdef Endpoint wait_for_turn(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now)
    cdef Endpoint wait_for_permit(self, Endpoint endpoint, Group group, Asked* asked, const Moment* now)
    cdef void step_back(self)
    cdef void give_up(self, Group group, int number)
