"""One limit: what it allows whom; and a look at it, a charge, a refund, a permit."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tidegate.limits.bell cimport WorkerBells
from tidegate.limits.concurrency cimport ConcurrencyLimit
from tidegate.limits.cost cimport Cost, CostMean
from tidegate.limits.keys cimport Asked, RequestKey
from tidegate.limits.learner cimport Learner
from tidegate.limits.quota cimport QuotaWindow
from tidegate.limits.unit_delay cimport UnitDelay
from tidegate.memory.grants cimport GrantTable
from tidegate.memory.inflight cimport PermitTable, permit_rules

cdef enum LimitKind:
    RATE = 0
    QUOTA
    CONCURRENCY
    LEASED                      # a rate or a quota of a whole fleet

cdef enum Missing:
    MISSING_OWN = 0
    MISSING_REFUSE
    MISSING_SKIP

cdef enum Standing:
    PASSED_BY = 0               # its key is missing, or it is charged later
    CHARGED
    HELD                        # a permit
    WOULD_REFUSE                # a dry run
    KEYLESS                     # it has no key, and is refused for that

cdef struct Moment:
    int64_t now_ns              # CLOCK_MONOTONIC
    int64_t wall_ms             # since 1970; of no use to rates

cdef struct Member:
    # What is remembered of one limit for as long as its request lasts.
    uint64_t fingerprint        # 0: the limit is passed by
    uint16_t which              # of what the limit allows
    uint16_t standing           # Standing
    uint16_t class_             # whose permit it is: 0 the most important
    int64_t row                 # of the permit
    QuotaWindow window          # of a quota, that was charged
    int64_t arrival_ns          # of a rate: until when what was charged uses it up
    int64_t wait_ns             # for the turn that the charge gave it, or that it has to wait with its permit
    # of an adaptive limit
    int64_t learns_in           # row of its learner
    int64_t began_ns            # when its permit was there and it went on to the upstream; 0: it teaches nothing
    int64_t waiting_ns          # what the upstream said that it waited there; negative: nothing
    uint32_t in_flight          # how many were, itself included, when it began
    double cost                 # what is charged; of a quota it is whole
    # of a fleet's limit
    uint64_t fleet              # the key's fingerprint in the store, the same for all nodes
    uint64_t tag                # that of its first part, by which keys of one tenant are together in the store
    uint64_t lease              # where the credits are: the key's fingerprint, or one of this request alone
    int64_t epoch               # whose credits were taken

cdef struct Override:
    uint64_t fingerprint        # 0: free
    uint32_t which

cdef class Limit:
    # what it is
    cdef readonly str name
    cdef bytes name_text
    cdef readonly object settings           # config.Limit
    cdef readonly RequestKey key
    cdef readonly RequestKey fleet_key      # of a fleet's limit; None: of others
    cdef readonly LimitKind kind
    cdef readonly bint is_dry
    cdef readonly bint charges_failures     # and nothing else
    cdef readonly bint delays
    cdef readonly bint reports              # is told of on every answer
    cdef uint64_t crowded_told              # of ``permits.crowded``, what the meters know
    cdef readonly bint shows_values         # of fields, cookies and parameters, whole, where its keys are shown
    cdef readonly bint is_of_endpoints      # asked of each that may get the request
    cdef uint8_t missing                    # Missing
    cdef readonly Cost cost
    # whom it allows what; the first is for everybody else
    cdef readonly list allowed              # rate.RateLimit, quota.QuotaLimit or leased.LeasedLimit
    cdef readonly bint is_exact             # … of which the store is asked for each request
    cdef RequestKey tag_key
    cdef uint64_t salt                      # tells requests of this worker from those of others
    cdef readonly object lender             # fleet.lender.Lender or fleet.permits.PermitLender; None: nobody borrows
    cdef readonly int64_t latency_cap_ns    # … for how long at most one waits for its store
    cdef readonly list allowances           # of ``fleet.allowance``, of a fleet's limit
    cdef readonly GrantTable grants         # how many of a fleet's permits this machine has; None: all are its own
    cdef bint is_seen                       # … and its lender knows of all who use it
    cdef int64_t low                        # with less than so many of them left more are borrowed
    cdef object rules_owner
    cdef permit_rules* rules
    cdef readonly list policies             # of each, as a client is told: RateLimit-Policy without the name
    cdef dict tiers                         # to the number of what is allowed
    cdef object overrides_owner
    cdef Override* overrides
    cdef uint32_t overrides_mask
    # what it remembers
    cdef readonly PermitTable permits
    cdef readonly bint has_queue            # one may wait for a permit
    cdef readonly UnitDelay unit_delay      # how long one waits with a permit; None: not at all
    cdef readonly Learner learner           # of how many permits there are; None: that is said
    cdef list bounds                        # … who is beyond it, of those that are allowed so many; by number
    cdef WorkerBells bells
    cdef uint32_t bell                      # the row of bells of a limit without key
    cdef tuple shares                       # by class
    cdef ConcurrencyLimit gate              # of a limit without key: it knows its row
    cdef dict gates                         # by fingerprint: of the keys that somebody waits for here
    # where it is counted
    cdef uint32_t series
    cdef bint has_series
    # What ``asked`` is charged when it comes, and what it is to be charged in the end, in what the limit counts in.
    cdef double cost_of(self, const Asked* asked, uint32_t which, CostMean mean) noexcept
    cdef double whole(self, double cost) noexcept
    cdef uint32_t allowance(self, uint64_t fingerprint, str tier) noexcept
    # Nanoseconds to wait; negative: refused, and for so long (``cells.NEVER``: for ever). ``look`` changes nothing;
    # ``refund`` takes back of a charge what nobody leans on (rule 9 of ``cells.h``).
    cdef int64_t look(self, Member* member, const Moment* now) noexcept
    cdef int64_t charge(self, Member* member, const Moment* now) noexcept
    cdef void refund(self, Member* member, const Moment* now) noexcept
    # Charges ``cost`` of what has been served already, whatever room there is.
    cdef void settle(self, Member* member, const Moment* now, double cost) noexcept
    # Gives ``cost`` back of what was charged.
    cdef void refund_part(self, Member* member, const Moment* now, double cost) noexcept
    # Of a fleet's limit that refuses: whether it is worth to look again, as the store may have more. Has it asked.
    cdef bint is_pending(self, Member* member, const Moment* now) noexcept
    cdef int borrow(self, Member* member, const Moment* now) except -1
    # What a fleet's limit is asked for, and where its credits are.
    cdef void name_lease(self, Member* member, const Asked* asked) noexcept nogil
    # Of one that is asked for each request: what the store is asked, once; None: it is, or there is enough.
    cdef object ticket(self, Member* member, const Moment* now)
    cdef int decide(self, Member* member) except -1         # … without the store, as nobody waits any longer
    # A permit to be in flight; False: all are taken, of a fleet's limit all that the machine has.
    cdef bint acquire(self, Member* member, const Moment* now) noexcept
    cdef bint _keeps(self, Member* member, const Moment* now) noexcept
    # Of a fleet's limit that keeps no permits ready: whether there is one without asking; whether nobody may ask now.
    cdef bint has_spare(self, Member* member, const Moment* now) noexcept
    cdef bint has_none(self, Member* member, const Moment* now) noexcept
    # Of a dry run of one that is asked of for each request: has the store asked for one that has passed.
    cdef int take_on_paper(self, Member* member) except -1
    cdef void release(self, Member* member) noexcept
    cdef void learn(self, double latency_s) noexcept       # from a request that had a permit, and waited no part of that
    # A permit was given, and the request goes on: what it teaches begins now.
    cdef void begin_lesson(self, Member* member, int64_t now_ns) noexcept
    # What has been learned for a key holds from here on.
    cdef void follow(self, uint64_t fingerprint) noexcept
    # Where one waits for a permit of this key; ``leave_gate`` when nobody does any more.
    cdef ConcurrencyLimit enter_gate(self, uint64_t fingerprint, int64_t now_ns)
    cdef void leave_gate(self, ConcurrencyLimit gate)
    cdef uint64_t _of(self, bytes key)
    cdef ConcurrencyLimit _make_gate(self, uint64_t fingerprint, uint32_t bell)
