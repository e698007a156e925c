"""Whether a request may pass, and where to: who it is from, the limits it is asked by, and which endpoint gets it."""

from libc.stdint cimport int64_t, uint64_t

from tidegate.exchange.relay cimport Relay
from tidegate.exchange.views cimport Response
from tidegate.limits.group cimport Group
from tidegate.limits.limit cimport Member, Moment
from tidegate.upstream.endpoint cimport Endpoint

cdef class Admission(Relay):
    # phases
    cdef bint admit_arrival(self)                       # limits of the listener alone: no route is known. False: answered
    cdef void admit(self)                               # and then the filters
    cdef void authenticate(self)
    cdef bint look_at_contract(self)                    # False: answered
    cdef void pick(self)
    # limits
    cdef Moment moment(self, Group group)
    cdef str tier(self)
    cdef unsigned traffic_class(self) noexcept          # how important it is, 0 the most: by what is known of it so far
    cdef bint passes(self, Group group, Member* members)        # False: answered, or it waits for its turn
    cdef bint waits_for_lease(self, Group group, int number, Member* members, const Moment* now) except? True
    cdef void count(self, Group group, Member* members, int64_t wait_ns)
    cdef void turn_away(self, Group group, int number, Member* members)
    cdef int longest_wait(self, Group group, Member* members, int64_t wait_ns)
    cdef int acquire(self, Group group, Member* members, const Moment* now)
    cdef void refuse_late(self)                         # its time is up while it waits for a turn or a permit
    cdef void leave_queues(self)
    cdef void refund_all(self)
    cdef void end_permits(self) noexcept
    # the endpoint
    cdef Endpoint choose(self, Endpoint avoid)
    cdef Endpoint place(self)                           # the same, with the limits of endpoints; None: answered, or it waits
    cdef void leave_place(self)                         # what it waited for at an endpoint, and got, is given back
    cdef void leave_endpoint(self, object kind) noexcept        # what was taken there ends; ``kind`` of failure, None: none
    cdef Group waits_in(self, Member** members)         # the limits of which one lets it wait
    cdef bint rewrite_path(self)
    # the rest of the exchange
    cdef void run_filters(self)                         # and then ``pick``
    cdef void connect(self)
    cdef void answer(self, Response response)
    cdef void answer_locally(self)
    cdef void refuse_path(self, int refusal)
    cdef void fail(self, object kind, str detail, int status)       # status 0: what RFC 9209 recommends for the kind
    cdef void caught(self, uint64_t number, object error)
    cdef void left_sync(self, int cause)
    cdef str id(self)
