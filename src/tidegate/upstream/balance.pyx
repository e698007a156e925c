"""How one of an upstream's endpoints is chosen.

All of it is arithmetic on what the endpoints know: no clock (``now_ns`` is an argument), no I/O, no Python object that
is not there already, and random numbers from the upstream's own generator, so that a run can be repeated.

Every way chooses among the endpoints that fit. Usually those are all that are not out and not to be avoided; only when
nothing is left does the next resort count (``fits``): rather the one that just failed than one that is ejected, and
rather an ejected one than nobody, because when all are out, it is the judge who is likely to be wrong (panic).
"""

from libc.math cimport log
from libc.string cimport memcpy

from tidegate.upstream.endpoint cimport Endpoint, Upstream

cdef extern from *:
    """
    static inline uint64_t tidegate_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t fold "tidegate_fold"(uint64_t a, uint64_t b) noexcept nogil

cdef enum Resort:
    USABLE              # not out, not to be avoided
    AVOIDED             # not out
    OUT                 # not to be avoided
    ANY
    RESORTS


cdef inline bint fits(Endpoint endpoint, int resort, Endpoint avoid) noexcept:
    if resort == USABLE:
        return not endpoint.is_out and endpoint is not avoid
    if resort == AVOIDED:
        return not endpoint.is_out
    return resort == ANY or endpoint is not avoid


cdef inline uint64_t mix(uint64_t z) noexcept nogil:
    """The finaliser of splitmix64: every bit of the result depends on every bit of ``z``."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL
    return z ^ (z >> 31)


cdef inline uint64_t below(uint64_t bits32, uint64_t bound) noexcept nogil:
    """A number below ``bound`` from 32 random bits (Lemire 2019; the bias for a few thousand endpoints is 1 in 10^6)."""
    return ((bits32 & 0xFFFFFFFFULL) * bound) >> 32


cdef uint64_t hash_key(const char* key, size_t size) noexcept nogil:
    """Hash of what identifies a client, eight bytes at a time by wyhash's multiply and fold.

    Without a secret: every gateway of a fleet has to send the same key to the same endpoint. Who crafts keys for one
    endpoint meets the bound on its load.
    """
    cdef uint64_t word
    cdef uint64_t state = 0xA0761D6478BD642FULL + <uint64_t>size * 0x9E3779B97F4A7C15ULL
    while size >= 8:
        memcpy(&word, key, 8)
        state = fold(state ^ word, 0xE7037ED1A0B428DBULL)
        key += 8
        size -= 8
    word = 0
    memcpy(&word, key, size)
    state = mix(fold(state ^ word, 0x8EBC6AF09C88C6E3ULL))
    return state if state != 0 else 1


cdef class Balanced(Upstream):
    """Goes through the resorts; what is chosen within one is for the subclass."""

    cdef Endpoint pick(self, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        cdef list endpoints = self.endpoints        # discovery may replace it at any time, never change it
        cdef Endpoint chosen
        cdef int resort
        for resort in range(<int>RESORTS):
            chosen = self.choose(endpoints, resort, key_hash, avoid, now_ns)
            if chosen is not None:
                return chosen
        return None

    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        raise NotImplementedError


cdef class RoundRobin(Balanced):
    """Each in turn, by weight, and evenly spread within a turn (nginx's smooth weighted round robin).

    Everybody earns its weight, the richest is chosen and pays the sum: 5:1:1 gives a a b a c a a, not a a a a a b c.
    """

    cdef void endpoints_changed(self):
        # Workers that start together begin at different endpoints.
        cdef Endpoint endpoint
        for endpoint in self.endpoints:
            if endpoint.picks == 0 and endpoint.current_weight == 0.0:
                endpoint.current_weight = endpoint.weight * <double>(self.draw() >> 11) * 2.0**-53

    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        cdef Endpoint endpoint
        cdef Endpoint best = None
        cdef double total = 0.0
        for endpoint in endpoints:
            if fits(endpoint, resort, avoid):
                total += endpoint.weight
                endpoint.current_weight += endpoint.weight
                if best is None or endpoint.current_weight > best.current_weight:
                    best = endpoint
        if best is not None:
            best.current_weight -= total
        return best


cdef class LeastRequest(Balanced):
    """The one with the fewest requests in flight for its weight; among equals, each in turn by weight (nginx's least_conn)."""

    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        cdef Endpoint endpoint
        cdef Endpoint least = None
        cdef Endpoint best = None
        cdef double total = 0.0
        cdef double here, there
        cdef bint is_tie = False
        for endpoint in endpoints:
            if fits(endpoint, resort, avoid):
                if least is None:
                    least = endpoint
                    continue
                here = endpoint.inflight * least.weight
                there = least.inflight * endpoint.weight
                if here < there:
                    least = endpoint
                    is_tie = False
                elif here == there:
                    is_tie = True
        if not is_tie:
            return least
        for endpoint in endpoints:
            if fits(endpoint, resort, avoid) and endpoint.inflight * least.weight == least.inflight * endpoint.weight:
                total += endpoint.weight
                endpoint.current_weight += endpoint.weight
                if best is None or endpoint.current_weight > best.current_weight:
                    best = endpoint
        best.current_weight -= total
        return best


cdef class P2C(Balanced):
    """The cheaper of two at random (Mitzenmacher 2001), cost being peak EWMA × (in flight + 1) / weight.

    Two, not all: the cheapest of all draws every worker to it at once, as soon as it is the cheapest.
    """

    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        cdef uint64_t bits, first, second
        cdef Endpoint one, other
        cdef uint64_t n = <uint64_t>len(endpoints)
        if n < 2:
            return self.choose_among_fit(endpoints, resort, avoid, now_ns)
        bits = self.draw()
        first = below(bits, n)
        second = below(bits >> 32, n - 1)
        if second >= first:
            second += 1
        one = <Endpoint>endpoints[first]
        other = <Endpoint>endpoints[second]
        if not fits(one, resort, avoid) or not fits(other, resort, avoid):
            return self.choose_among_fit(endpoints, resort, avoid, now_ns)
        # Which of two equals was drawn first is random already.
        return one if one.cost_at(now_ns) <= other.cost_at(now_ns) else other

    cdef Endpoint choose_among_fit(self, list endpoints, int resort, Endpoint avoid, uint64_t now_ns):
        """The same with those that do not fit left out: two at random by reservoir, in one pass."""
        cdef Endpoint endpoint
        cdef Endpoint one = None
        cdef Endpoint other = None
        cdef uint64_t seen = 0
        cdef uint64_t slot
        for endpoint in endpoints:
            if not fits(endpoint, resort, avoid):
                continue
            seen += 1
            if one is None:
                one = endpoint
            elif other is None:
                other = endpoint
            else:
                slot = below(self.draw(), seen)
                if slot == 0:
                    one = endpoint
                elif slot == 1:
                    other = endpoint
        if other is None:
            return one
        if self.draw() & 1:
            one, other = other, one
        return one if one.cost_at(now_ns) <= other.cost_at(now_ns) else other


cdef class Random(Balanced):
    """Any, by weight."""

    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        cdef Endpoint endpoint
        cdef Endpoint last = None
        cdef double total = 0.0
        cdef double left
        for endpoint in endpoints:
            if fits(endpoint, resort, avoid):
                total += endpoint.weight
        if total == 0.0:
            return None
        left = total * <double>(self.draw() >> 11) * 2.0**-53
        for endpoint in endpoints:
            if fits(endpoint, resort, avoid):
                last = endpoint
                left -= endpoint.weight
                if left < 0.0:
                    break
        return last


cdef class ConsistentHash(Balanced):
    """Always the same endpoint for a key, unless it has more than its share of the load.

    Weighted rendezvous hashing (Thaler & Ravishankar 1998; weights by -w / ln u): every endpoint draws a number from the
    key and its own address, the highest wins. Against a ring: balance is exact instead of to some percent, there is no
    table to build when DNS changes, and when an endpoint leaves only its own keys move. The price is a look at every
    endpoint, about 2 ns each.

    Bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): an endpoint with c × mean × weight in flight is passed over, and
    the key goes to its next best. Somebody is always below the bound as c > 1. Loads are this worker's.
    """

    def __init__(self, str name not None, *, double load_factor=1.25, **rest):
        if load_factor <= 1.0:
            raise ValueError(f"a load factor is more than 1, got {load_factor}")
        self.load_factor = load_factor
        super().__init__(name, **rest)

    cdef void endpoints_changed(self):
        cdef Endpoint endpoint
        self.has_equal_weights = len({endpoint.weight for endpoint in self.endpoints}) <= 1

    cdef Endpoint choose(self, list endpoints, int resort, uint64_t key_hash, Endpoint avoid, uint64_t now_ns):
        cdef Endpoint endpoint
        cdef Endpoint best = None
        cdef long inflight = 0
        cdef double total = 0.0
        cdef double room, score
        cdef double best_score = 0.0
        cdef uint64_t hashed
        cdef uint64_t best_hash = 0
        if key_hash == 0:
            key_hash = self.draw()          # nothing to be consistent with
        for endpoint in endpoints:
            if fits(endpoint, resort, avoid):
                total += endpoint.weight
                inflight += endpoint.inflight
        room = self.load_factor * <double>(inflight + 1)
        for endpoint in endpoints:
            # inflight + 1 <= ceil(room × weight / total), without the ceil
            if not fits(endpoint, resort, avoid) or endpoint.inflight * total >= room * endpoint.weight:
                continue
            hashed = mix(key_hash ^ endpoint.place)
            if self.has_equal_weights:
                if best is None or hashed > best_hash:
                    best = endpoint
                    best_hash = hashed
                continue
            # u from 2^-54 up to 1 - 2^-54: never 0 or 1, whose logarithms would decide alone
            score = -endpoint.weight / log((<double>(hashed >> 11) + 0.5) * 2.0**-53)
            if best is None or score > best_score:
                best = endpoint
                best_score = score
        return best
