"""When requests are due, as arithmetic: no clock, and nothing that depends on how the requests before went.

A rate is given as stretches of time in which it changes evenly (a ramp) or stays (a step). Its integral L(t) is how many
requests are due by t; request n is due at the t with L(t) = n. A Poisson process whose rate changes is the same with
exponential distances in place of whole numbers: the time-rescaling theorem (Cinlar, Introduction to Stochastic
Processes, 1975, theorem 4.7.2). Within a stretch L is a parabola, so each point is the root of a quadratic.

Several processes share a schedule: of even arrivals the k-th of N sends each N-th, so that together they are even again;
Poisson processes of a part of the rate each add up to one of the whole.
"""

from libc.math cimport INFINITY, log, sqrt
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free


cdef class Schedule:

    def __init__(self, stretches, *, bint is_poisson=False, int part=0, int parts=1, uint64_t seed=1):
        cdef Stretch* one
        cdef double share
        if not stretches:
            raise ValueError("a schedule has at least one stretch")
        if not 0 <= part < parts:
            raise ValueError(f"a part is 0 to {parts - 1}, got {part}")
        if self.stretches != NULL:
            raise RuntimeError("a schedule is made once")
        self.stretches = <Stretch*>calloc(len(stretches), sizeof(Stretch))
        if self.stretches == NULL:
            raise MemoryError
        self.is_poisson = is_poisson
        share = 1.0 / parts if is_poisson else 1.0
        for seconds, first, last in stretches:
            if not 0 < seconds < 1e9 or not 0 <= first < 1e9 or not 0 <= last < 1e9:
                raise ValueError(f"a stretch has a length and rates that are not negative, got {seconds}, {first}, {last}")
            one = &self.stretches[self.count]
            one.begin_s = self.seconds
            one.end_s = self.seconds + seconds
            one.rate = first * share
            one.slope = (last - first) * share / seconds
            one.begun = self.requests
            self.requests += (first + last) / 2 * share * seconds
            self.seconds = one.end_s
            self.count += 1
        # xorshift64* wants a state that is not zero, and near seeds apart.
        self.random = (seed * <uint64_t>parts + <uint64_t>part + 1) * <uint64_t>0x9E3779B97F4A7C15 | 1
        self.step = parts
        self.mark = self.exponential() if is_poisson else part

    def __dealloc__(self):
        free(self.stretches)

    cdef double exponential(self) noexcept:
        """A distance between arrivals at a rate of 1."""
        cdef double uniform
        self.random ^= self.random >> 12
        self.random ^= self.random << 25
        self.random ^= self.random >> 27
        uniform = (<double>(self.random * <uint64_t>2685821657736338717 >> 11) + 1.0) / 9007199254740992.0     # (0, 1]
        return -log(uniform)

    cdef double next_s(self) noexcept:
        cdef Stretch* one
        cdef double beyond, root
        while self.at < self.count:
            one = &self.stretches[self.at]
            beyond = self.mark - one.begun
            root = one.rate * one.rate + 2.0 * one.slope * beyond
            if beyond < _due(one, one.end_s) and root >= 0.0 and (one.rate > 0.0 or one.slope > 0.0):
                self.mark += self.exponential() if self.is_poisson else self.step
                if beyond <= 0.0:
                    return one.begin_s
                # The form of the root that divides by a sum loses no digits when the slope is small.
                return one.begin_s + 2.0 * beyond / (one.rate + sqrt(root))
            self.at += 1
        return INFINITY

    def take(self, long most):
        """The next points, at most so many; fewer at the end."""
        cdef double at_s
        found = []
        while len(found) < most:
            at_s = self.next_s()
            if at_s == INFINITY:
                break
            found.append(at_s)
        return found

    def rate_at(self, double at_s):
        """Requests per second that are asked for at that moment; 0 before and after."""
        cdef int i
        for i in range(self.count):
            if self.stretches[i].begin_s <= at_s < self.stretches[i].end_s:
                return self.stretches[i].rate + self.stretches[i].slope * (at_s - self.stretches[i].begin_s)
        return 0.0

    def due_by(self, double at_s):
        """How many requests are expected before that moment."""
        cdef int i
        cdef double sum = 0.0
        for i in range(self.count):
            if at_s > self.stretches[i].begin_s:
                sum = self.stretches[i].begun + _due(&self.stretches[i], min(at_s, self.stretches[i].end_s))
        return sum

    def __repr__(self):
        kind = "Poisson" if self.is_poisson else "even"
        return f"<Schedule {kind}, {self.requests:g} requests in {self.seconds:g} s>"


cdef inline double _due(Stretch* one, double at_s) noexcept:
    cdef double span = at_s - one.begin_s
    return span * (one.rate + one.slope * span / 2.0)
