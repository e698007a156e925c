"""Everything an exchange knows; the views, the composer and the exchange itself work on it."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tidegate.exchange.edits cimport Edits
from tidegate.exchange.context cimport Context
from tidegate.exchange.plan cimport Destination, Plan, Route
from tidegate.filters.key_auth cimport Identity
from tidegate.limits.group cimport ENDPOINT_MEMBERS_MAX, MEMBERS_MAX, Group
from tidegate.limits.keys cimport KEPT_PRINTS, KeptPrint
from tidegate.limits.limit cimport Member
from tidegate.net.stream cimport Stream
from tidegate.routing.router cimport Captures, Match
from tidegate.upstream.connection cimport Asker
from tidegate.upstream.endpoint cimport Endpoint
from tidegate.wire.http1 cimport ChunkedDecoder, RequestHead, ResponseHead, Span

cdef struct Bytes:
    # A buffer that belongs to the exchange and is kept for the next one.
    char* at
    size_t size
    size_t room

cdef int fill(Bytes* bytes, const char* data, size_t size) except -1
cdef int reserve(Bytes* bytes, size_t room) except -1

cdef class Client(Stream):
    """The downstream connection, as far as an exchange needs to know it."""
    # connection
    cdef str listener                       # address that it came to, as configured
    cdef bytes address                      # of the other end, as text
    cdef uint32_t address_hash
    cdef KeptPrint[KEPT_PRINTS] prints      # of keys that are its address
    cdef uint64_t asker                     # fingerprint of its address among those who ask routes; 0: not made yet
    cdef bytes forwarding                   # compose.forwarding_lines
    cdef bytes forwarded_for                # ``for=…;proto=…`` of Forwarded (RFC 7239)
    cdef uint16_t port
    cdef bint is_tls
    cdef bint has_ended                     # it has ended its sending half: it sends nothing more, or is gone
    cdef bint is_trusted                    # a trusted proxy: its forwarding fields are believed
    cdef uint64_t serial
    cdef uint32_t uses                      # exchanges begun
    cdef bint allows_underscores
    cdef int64_t max_body                   # -1: no bound
    cdef uint64_t body_timeout_ms           # longest wait for the client to send or take more
    # exchange
    cdef uint64_t snapshot_number           # of the snapshot whose settings it has
    cdef bint keeps_alive                   # another request may follow this one
    cdef char* window                       # bytes read and not used yet: the beginning of the body, or of the next request
    cdef size_t window_size
    cdef void touch(self) noexcept          # something moved: its deadline begins anew
    cdef void take_snapshot(self)           # another snapshot is active: what is set for the connection becomes as it says
    cdef void exchange_routed(self)         # its route, and so its deadline, is known
    cdef void exchange_finished(self, bint is_clean)    # its answer was handed over whole; or never will be
    cdef void pump_body(self)               # hand on what has been read of the body, and read on
    cdef void answer_came(self)             # the answer's head is about to be sent: settles ``keeps_alive``
    cdef void begin_tunnel(self)

cdef enum Stage:
    FREE = 0
    HEAD                        # its head is being read
    RUNNING                     # steps, synchronously
    WAITING                     # an async filter, a connection of a full pool, a dial
    SENT                        # the request was handed over; no head has come back
    RESPONDING                  # the answer's head was handed to the client
    TUNNEL                      # upgraded: bytes both ways
    FINISHED

cdef enum WaitsFor:
    NOTHING = 0
    FILTER
    POOL
    DIAL
    TURN                        # its slot of a rate with excess = "delay"
    PERMIT                      # to be in flight
    LEASE                       # to see whether the store of a fleet's limit has more

cdef class ExchangeState(Asker):
    # process
    cdef Context context
    # exchange: who and where
    cdef Client client
    cdef bytes client_address               # after trusted proxies; None: not looked for yet
    cdef Plan plan
    cdef Match match
    cdef Route route
    cdef Destination destination
    # exchange: the limits it was asked by
    cdef Group edge                         # None: no limit asked before it was known who asks
    cdef Group contract                     # … and afterwards, those of the upstream with them
    cdef Member edge_members[MEMBERS_MAX]
    cdef Member contract_members[MEMBERS_MAX]
    cdef Group at_endpoint                  # … and by its endpoint
    cdef Member endpoint_members[ENDPOINT_MEMBERS_MAX]
    cdef Endpoint waits_at                  # where it waits for a turn or a permit, or has just got it; None: nowhere
    cdef bint has_turn                      # … it is a turn, and charged there
    cdef Endpoint asked_endpoint            # whose limits ``endpoint_members`` are of: those asked last; None: nobody's
    cdef bint is_admitted                   # the edge has let it in
    cdef bint is_paid                       # the contract is charged, its permits may be wanting still
    cdef bint learns                        # some limit of the contract, or of the endpoint, is adaptive
    cdef bint is_charged                    # all of it is done: a second attempt at an upstream is the same request
    cdef uint64_t charged_ns                # since when
    cdef bint has_queued                    # it waited for a permit
    cdef int64_t queued_ns                  # since when, whatever queues it went through; 0: not at all
    cdef object waiter                      # its place in the queue for one
    cdef int queued_for                     # number of that limit in its group
    cdef uint64_t serial                    # of the exchange in this worker; 0: nobody has wanted to know
    cdef int64_t lease_by_ns                # until when it waits for a store, whatever limits it asks; 0: it has not yet
    cdef bytes refused_by                   # name of the limit
    cdef dict costs                         # what filters said that it takes, by name of the limit; None: nothing
    # exchange: where to
    cdef Identity identity                  # whom the request is from; None: the route asks nobody
    cdef Endpoint endpoint
    cdef bint holds_endpoint                # between its ``started`` and ``ended``
    cdef Endpoint failed_endpoint           # not to be tried again
    cdef uint64_t number                    # of this use of the object: what waits compares it when it wakes
    cdef uint8_t stage
    cdef uint8_t waits_for
    # exchange: the request
    cdef RequestHead request
    cdef Bytes raw                          # the head as it came
    cdef Bytes path                         # canonical, when it is not a part of ``raw``
    cdef bint path_is_own                   # … and so in ``path``
    cdef Bytes sent_path                    # rewritten, for the upstream
    cdef bint has_sent_path
    cdef Captures captures
    cdef Edits request_edits                # None until something changes
    cdef char request_id[64]
    cdef uint8_t request_id_size
    cdef ChunkedDecoder request_chunks
    cdef uint64_t body_left                 # of a Content-Length still to come from the client
    cdef uint64_t request_bytes             # body bytes handed on
    cdef int64_t body_bound                 # -1: none
    cdef bint request_is_chunked_out        # framed as chunked towards the upstream
    cdef bint body_done                     # the client has sent it whole (or there is none)
    cdef bint request_sent                  # head and body have been handed over whole
    cdef bint wants_continue                # the client waits for 100 Continue
    # exchange: the answer
    cdef ResponseHead response
    cdef Bytes raw_response                 # its head as it came, kept only if somebody looks at it later
    cdef const char* response_at            # where its head is now
    cdef Edits response_edits
    cdef int status                         # what the client gets; 0: nothing yet
    cdef ChunkedDecoder response_chunks
    cdef uint64_t answer_left
    cdef uint64_t response_bytes
    cdef bint response_is_chunked_out
    cdef bint ends_with_connection          # nothing but the end of the connection says where the answer ends
    cdef bint response_done                 # the upstream's answer has been read whole
    cdef char* rest                         # what came behind the head, until it is sent on
    cdef size_t rest_size
    cdef bytes set_cookie                   # whole line that makes the client sticky
    cdef bint is_out_of_time                # its deadline has passed: no filter is waited for
    cdef bint skips_filters                 # a filter has failed: no further one sees the answer
    cdef bytes local_body                   # of an answer that was made here, until it is sent
    cdef bint has_no_body_out               # HEAD, 204, 304
    cdef bint is_local                      # the gateway or a filter made the answer
    cdef bint is_stream                     # server-sent events: no deadline for the whole
    # exchange: what filters see
    cdef object request_view                # views.Request
    cdef object response_view
    cdef dict store
    cdef dict log_fields
    cdef object task                        # of an async filter
    cdef object awaited                     # what a plain method returned to be waited for, until its task begins
    cdef uint64_t turn                      # counts the waits for async filters: one that lost its turn does nothing more
    cdef int step                           # index of the next filter
    cdef bint is_replaced                   # a filter put another answer in place: the filters after it see that one
    # exchange: trouble
    cdef object error_kind                  # errors.Kind when something failed
    cdef str error_detail
    cdef bint endpoint_failed               # … and it is the endpoint that is to blame
    cdef int attempts
    # exchange: time
    cdef uint64_t began_ns
    cdef uint64_t sent_ns
    cdef uint64_t handed_ns                 # when the end of its body was handed over; 0: not, or with the head
    cdef uint64_t pool_waited_ns            # for a connection, in this attempt
    cdef uint64_t answered_ns
    cdef uint64_t connect_ns
    cdef uint64_t deadline_ms               # of the whole; 0: none
    cdef int64_t began_real_us
    cdef uint64_t upstream_serial           # of the last connection used, for the log
    cdef uint32_t upstream_uses
    cdef int upstream_status
    cdef bint went_async
    cdef uint8_t async_cause
    cdef void turn_came(self)               # it has waited for its turn, and has it
    cdef void permit_came(self, int64_t row)        # … for a permit, and has it in ``row``; -1: there is none for it
    cdef void forget(self)                  # lets go of everything, keeps the buffers

cdef bytes client_address(ExchangeState x)      # text of the client's address, as far as trusted proxies vouch for it
