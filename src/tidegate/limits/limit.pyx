"""One limit: what it allows whom, and a look at it, a charge, a refund.

A rate is GCRA (ITU-T I.371), which is the leaky bucket of nginx's ``limit_req`` and the token bucket at once: a cell holds the
time at which the next request of its key would be exactly on the rate. ``burst`` is how far ahead of that time a request may
come; with ``excess = "delay"`` it waits for it, but for what ``delay_after`` forgives.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint32_t, uint64_t

from tidegate.limits.keys cimport RequestKey
from tidegate.memory.mapping cimport Mapping
from tidegate.memory.rates cimport RateTable

from tidegate.config.allotment import SET_BYTES
from tidegate.config.values import parse_rate

cdef int64_t SECOND_NS = 1000000000
cdef int64_t FOREVER_NS = 366 * 86400 * SECOND_NS

cdef dict MISSING = {"own": MISSING_OWN, "refuse": MISSING_REFUSE, "skip": MISSING_SKIP}


cdef class Limit:
    """name, settings: of the configuration. place: config.allotment.Place. mapping: of the region. secret: the region's."""

    def __init__(self, str name not None, settings, place, Mapping mapping not None, bytes secret not None):
        cdef uint64_t room = 4
        cdef uint64_t at, fingerprint
        self.name = name
        self.name_text = name.encode()
        self.settings = settings
        self.key = RequestKey(secret, name, settings.key_parts)
        self.needs_auth = settings.needs_auth
        self.has_upstream = self.key.has_upstream
        self.is_dry = settings.dry_run
        self.delays = settings.excess == "delay"
        self.charges_failures = settings.charge == "on_failure"
        self.missing = MISSING[settings.missing_key]
        self.rates = RateTable(mapping, place.at * SET_BYTES, place.units - 1)
        self.allowed_owner = bytearray(sizeof(Allowed) * (1 + len(settings.tiers) + len(settings.overrides)))
        self.allowed = <Allowed*>PyByteArray_AS_STRING(self.allowed_owner)
        self.policies = []
        self._allow(settings)
        for tier, allowance in settings.tiers.items():
            if self.tiers is None:
                self.tiers = {}
            self.tiers[tier] = self._allow(allowance)
        if settings.overrides:
            while room < 2 * <uint64_t>len(settings.overrides):
                room *= 2
            self.overrides_owner = bytearray(room * sizeof(Override))
            self.overrides = <Override*>PyByteArray_AS_STRING(self.overrides_owner)
            self.overrides_mask = room - 1
            for text, allowance in settings.overrides.items():
                raw = text.encode()
                fingerprint = self.key.of_text(PyBytes_AS_STRING(raw), PyBytes_GET_SIZE(raw))
                at = fingerprint & self.overrides_mask
                while self.overrides[at].fingerprint != 0:
                    at = (at + 1) & self.overrides_mask
                self.overrides[at].fingerprint = fingerprint
                self.overrides[at].which = self._allow(allowance)

    def _allow(self, allowance):
        """Adds what is allowed to somebody, and returns its number."""
        cdef Allowed* allowed = &self.allowed[len(self.policies)]
        settings = self.settings
        count, period_s = parse_rate(allowance.rate or settings.rate)
        burst = settings.burst if allowance.burst is None else allowance.burst
        if count:
            allowed.emission_ns = max(1, round(settings.cost * period_s * 1e9 / count))
            # Of a request that costs more than one, only as much is left to be ahead by as the others leave it.
            allowed.tolerance_ns = min(FOREVER_NS, round((burst + 1 - settings.cost) * period_s * 1e9 / count))
            allowed.free_ns = round(settings.delay_after * period_s * 1e9 / count)
        else:
            allowed.tolerance_ns = -1
        longest = settings.max_delay
        allowed.longest_ns = FOREVER_NS if longest is None else round(longest * 1e9)
        if self.delays:
            # Refused at once, where nothing has been charged yet, and not when its turn is found to be too late.
            allowed.tolerance_ns = min(allowed.tolerance_ns, allowed.longest_ns + allowed.free_ns)
        self.policies.append((burst + 1 if count else 0, -(-(burst + 1) * period_s // count) if count else period_s))
        return len(self.policies) - 1

    cdef uint32_t allowance(self, uint64_t fingerprint, str tier) noexcept:
        """The number of what somebody is allowed: by name, else by tier, else as everybody."""
        cdef uint64_t at
        if self.overrides != NULL:
            at = fingerprint & self.overrides_mask
            while self.overrides[at].fingerprint != 0:
                if self.overrides[at].fingerprint == fingerprint:
                    return self.overrides[at].which
                at = (at + 1) & self.overrides_mask
        if self.tiers is not None and tier is not None:
            found = self.tiers.get(tier)
            if found is not None:
                return found
        return 0

    cdef int64_t look(self, uint64_t fingerprint, uint32_t which, int64_t now_ns) noexcept nogil:
        cdef const Allowed* allowed = &self.allowed[which]
        return self.verdict(self.rates.peek(fingerprint, now_ns, allowed.emission_ns, allowed.tolerance_ns), which)

    cdef int64_t charge(self, uint64_t fingerprint, uint32_t which, int64_t now_ns) noexcept nogil:
        cdef const Allowed* allowed = &self.allowed[which]
        return self.verdict(self.rates.charge(fingerprint, now_ns, allowed.emission_ns, allowed.tolerance_ns), which)

    cdef void refund(self, uint64_t fingerprint, uint32_t which, int64_t now_ns) noexcept nogil:
        self.rates.refund(fingerprint, now_ns, self.allowed[which].emission_ns)

    cdef inline int64_t verdict(self, int64_t wait_ns, uint32_t which) noexcept nogil:
        if wait_ns <= 0:
            return wait_ns
        if not self.delays or wait_ns <= self.allowed[which].free_ns:
            return 0
        return wait_ns - self.allowed[which].free_ns

    def __repr__(self):
        return f"<Limit {self.name}: {self.settings.rate}, burst {self.settings.burst}>"
