"""The way of a request to its upstream, and of the answer back."""

from libc.stdint cimport uint32_t, uint64_t

from tidegate.exchange.placement cimport Placement
from tidegate.exchange.views cimport Response
from tidegate.upstream.connection cimport UpstreamConnection
from tidegate.wire.http1 cimport HeadLimits

cdef HeadLimits RESPONSE_LIMITS

cdef class Forward(Placement):
    # forth
    cdef void dial(self)
    cdef void send(self)
    # what the upstream's connection says
    cdef void caught(self, uint64_t number, object error)
    cdef void _go_on(self)
    cdef void _feed(self)
    cdef void _take(self, char* data, size_t size)
    cdef void _at_end(self, bint is_truncated)
    cdef void _cut_off(self, object kind, str detail)
    # once upgraded
    cdef void tunnel_bytes(self, char* data, size_t size)
    cdef void tunnel_ended(self)                        # the client has closed its half
    cdef void end_tunnel(self)
    cdef void client_drained(self)                      # the client has taken what waited for it
    # ends
    cdef bint tries_again(self, object kind)
    cdef void leave_upstream(self)                      # ends whatever is under way towards it
    cdef void release_endpoint(self, bint failed)
    cdef void note_loss(self, object kind)
    cdef void note_wait(self) noexcept
    cdef uint32_t upstream_series(self)                 # in the meters; made at first use
    cdef void look_at_path(self, UpstreamConnection connection) noexcept
    cdef void left_sync(self, int cause)
    cdef Response problem_for(self, object kind, str detail, int status)
    # the rest of the exchange
    cdef void respond(self)                             # the answer's head is known
    cdef void finish(self)
