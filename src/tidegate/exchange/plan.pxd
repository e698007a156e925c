"""What a snapshot compiles to: a router, and for each route the list of steps it really has."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tidegate.exchange.edits cimport Edits
from tidegate.exchange.trust cimport TrustedRanges
from tidegate.filters.key_auth cimport KeyAuth
from tidegate.limits.classes cimport Classes
from tidegate.limits.group cimport Group
from tidegate.observe.access_log cimport AccessLog
from tidegate.routing.rewrite cimport Redirect, Rewrite
from tidegate.routing.router cimport Router
from tidegate.upstream.connection cimport DialSettings
from tidegate.upstream.endpoint cimport Upstream

cdef class Plan

cdef class Step:
    """One method of one filter, in one phase."""
    cdef readonly str filter_name
    cdef readonly object call               # the bound method
    cdef readonly bint is_async
    cdef readonly uint64_t place            # memory.marks: which phase of which filter on which route this is

cdef class Destination:
    """An upstream with what a request towards it needs at hand."""
    cdef readonly Upstream upstream
    cdef DialSettings dial
    cdef readonly Group limits              # of what is sent to it; None: none
    cdef readonly Group at_endpoint         # … and of what is sent to each of its endpoints
    cdef bytes text                         # its name
    cdef uint32_t series                    # in the meters; made at first use
    cdef bint has_series

cdef class Route:
    # who it is
    cdef readonly str name
    cdef bytes name_text
    cdef uint32_t series                    # in the meters; made at first use
    cdef bint has_series
    # where it leads: exactly one
    cdef readonly Destination destination
    cdef object answer                      # views.Response, ready made (``respond``)
    cdef Redirect redirect
    cdef int redirect_status
    # who may pass
    cdef readonly KeyAuth auth              # None: anybody
    cdef int class_                         # of its requests; -1: as all
    cdef readonly Group edge                # limits that are asked before it is known who asks; None: none
    cdef readonly Group contract            # … and afterwards
    cdef dict means                         # by limit: what its requests take of it, where that is measured
    cdef readonly Group at_endpoint         # … and of each endpoint that may get a request
    cdef dict edges                         # by listener: with its limits
    cdef dict contracts                     # by destination: with the limits of its upstream
    cdef dict endpoint_groups               # the same for those of endpoints
    cdef int join(self, dict listener_limits) except -1
    cdef Group edge_behind(self, str listener)
    cdef Group contract_before(self, Destination destination)
    cdef Group at_endpoints(self, Destination destination)
    # steps, None where there are none
    cdef readonly tuple on_request          # in order of the configuration
    cdef readonly tuple on_request_body
    cdef readonly tuple on_response         # in reverse order, as are the two below
    cdef readonly tuple on_response_body
    cdef readonly tuple on_finish
    cdef Edits request_edits
    cdef Edits response_edits
    cdef Rewrite rewrite
    # bounds and switches
    cdef uint64_t timeout_ms                # 0: none
    cdef int64_t max_body                   # -1: as the listener says, -2: none
    cdef uint64_t upgrade_idle_ms           # 0: none
    cdef bint allows_upgrade
    cdef bint keeps_host
    cdef bint sends_raw_path
    cdef int allowed_encodings              # target.PathFlag

cdef class Plan:
    """One snapshot, ready to serve."""
    cdef readonly uint64_t number
    cdef readonly str etag
    cdef readonly object gateway            # config model
    cdef readonly Router router
    cdef readonly dict routes               # by name
    cdef readonly dict destinations         # by name of the upstream
    cdef readonly dict filters              # instances by name
    cdef readonly dict limits               # limits.Limit by name
    cdef readonly Classes classes           # of traffic
    cdef dict listener_limits               # Group by listener; None: no listener has limits
    cdef int widest_encodings               # what any route allows: the path is made canonical before the route is known
    cdef TrustedRanges trusted
    cdef AccessLog access_log
    # now
    cdef readonly long exchanges            # in flight on it
