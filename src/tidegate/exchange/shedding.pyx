"""Whether a worker has too much to do, and whom it refuses then.

Three bounds (``config.Shed``), each as a pressure: what is measured over what it may be.

- loop lag: how long the loop was held, or the shortest that any request of the last interval had waited to be read, if that is
  longer. The shortest, as a queue that does not empty is one that all wait in (CoDel: Nichols and Jacobson, "Controlling
  Queue Delay", ACM Queue 10(5), 2012); a timer alone does not see it, because each turn of a busy loop is short.
- memory, read once a second.
- exchanges in flight.

Of the worst pressure a level is made: how many classes are shed, the least important first, a part of the next one by chance. It
rises while the pressure is 1 or more, a class a second, twice as fast from 2 on; it falls at half that speed while the pressure
is below 0.8; in between it stays. So it settles where what is let in is what can be done, and one late turn of the loop, after
which it is on time again, refuses hardly anybody. Beyond the bound of what is in flight the last class is refused at once.
(Envoy's overload manager and Netflix's prioritized load shedding refuse a share by pressure as well, but as a function of the
present one alone, which swings when refusing is what lowers it.)
"""

from libc.stdint cimport uint64_t

from tidegate.exchange.problem_body cimport ProblemBody
from tidegate.exchange.views cimport Response
from tidegate.memory.meters cimport SERIES_SHED, SHED_LEVEL_PPM, Meters

from types import MappingProxyType

from tidegate.config.shedding import parse_memory_level
from tidegate.errors import Kind
from tidegate.memory.meters import SHED_REASON_NAMES
from tidegate.observe.memory_use import MemoryUse

cdef enum:
    RETRY_AFTER_S = 2           # about as long as a class takes to be let in again

cdef double RISE_PER_S = 1.0
cdef double FALL_PER_S = 0.5
cdef double EASE = 0.8
cdef double LONGEST_STEP_S = 0.2        # of one judgement: a loop that was held for a second is judged once, not ten times
cdef uint64_t TICK_NS = 100000000
cdef uint64_t MEMORY_EACH_NS = 1000000000
cdef uint64_t CALM_NS = 5000000000      # without anything shed until that is said
cdef dict REASONS = {"loop_lag": SHED_LOOP_LAG, "memory": SHED_MEMORY, "in_flight": SHED_IN_FLIGHT}
cdef object NOTHING_MORE = MappingProxyType({})
cdef str TITLE = "The gateway has too much to do"
cdef bytes HEAD = "\r\n".join([
    "HTTP/1.1 503 Service Unavailable",
    "Content-Type: application/problem+json",
    f'Proxy-Status: tidegate; error={Kind.HTTP_REQUEST_DENIED.value}; details="overloaded"',
    f"Retry-After: {RETRY_AFTER_S}",
    "Content-Length: %d", "", "",
]).encode()


cdef class Shedder:
    """meters: the worker's. say: of its error log."""

    def __init__(self, Meters meters not None, say):
        self.meters = meters
        self.say = say
        self.names = ("all",)
        self.count = 1
        self.series = [None]
        self.body = ProblemBody({"type": "urn:tidegate:overloaded", "title": TITLE, "status": 503})

    def configure(self, settings, names):
        """settings: config.Shed. names: of the classes, the most important first; none: all are one."""
        self.lag_bound_s = settings.loop_lag or 0.0
        self.in_flight_bound = settings.in_flight or 0
        self.memory = None if settings.memory is None else MemoryUse(parse_memory_level(settings.memory))
        self.memory_pressure = 0.0
        self.memory_ns = 0
        if names != self.names:
            self.names = tuple(names) or ("all",)
            self.series = [None] * len(self.names)
        self.count = len(self.names)
        self.level = min(self.level, self.count)

    cdef bint sheds(self, unsigned rank, long in_flight, uint64_t random) noexcept:
        cdef double part = self.level - (self.count - 1 - <int>rank)
        cdef int reason = self.reason
        if self.in_flight_bound and in_flight > self.in_flight_bound:
            if <int>rank == self.count - 1:
                part = 1.0
                reason = SHED_IN_FLIGHT
                if self.level <= 0:
                    self.reason = reason
        if part <= 0 or (part < 1 and (random >> 11) * (1.0 / 9007199254740992.0) >= part):
            return False
        self.shed_count += 1
        if self.series[rank] is None:
            self.series[rank] = self.meters.series(SERIES_SHED, (<str>self.names[rank]).encode())
        self.meters.record_verdict(<int>self.series[rank], reason)
        return True

    cdef Response answer_to(self, const char* id, size_t size):
        cdef bytes body = self.body.with_id(id, size)
        cdef Response response = Response.__new__(Response)
        if len(body) != self.body_size:     # as it is, but where a proxy brings ids of its own
            self.body_size = len(body)
            self.head = HEAD % self.body_size
        response.status = 503
        response.headers = NOTHING_MORE
        response.head = self.head
        response.body = body
        return response

    def tick(self, uint64_t now_ns, double read_wait_s, long in_flight):
        """Measures and judges; ten times a second.

        read_wait_s: the shortest that a request waited to be read since the last time. in_flight: exchanges, now.
        """
        cdef double lag_s = 0.0
        if self.judged_ns and now_ns > self.judged_ns + TICK_NS:
            lag_s = (now_ns - self.judged_ns - TICK_NS) / 1e9
        if self.memory is not None and now_ns >= self.memory_ns + MEMORY_EACH_NS:
            self.memory_ns = now_ns
            self.memory_pressure = self.memory.pressure()
        self.judge(
            now_ns,
            loop_lag=max(lag_s, read_wait_s) / self.lag_bound_s if self.lag_bound_s else 0.0,
            memory=self.memory_pressure,
            # One more than the bound is beyond it.
            in_flight=<double>in_flight / (self.in_flight_bound + 1) if self.in_flight_bound else 0.0,
        )

    def judge(self, uint64_t now_ns, *, double loop_lag=0.0, double memory=0.0, double in_flight=0.0):
        """Sets the level by the pressures of an interval that ends now."""
        cdef double step_s = min((now_ns - self.judged_ns) / 1e9, LONGEST_STEP_S) if self.judged_ns else 0.0
        cdef double[3] pressures = [loop_lag, memory, in_flight]
        cdef double worst = 0.0
        cdef int reason, at = 0
        self.judged_ns = now_ns
        for reason in range(SHED_REASONS):
            if pressures[reason] > worst:
                worst = pressures[reason]
                at = reason
        if worst >= 1:
            self.reason = at
            self.level = min(self.level + step_s * RISE_PER_S * min(worst, 2.0), self.count)
        elif worst < EASE:
            self.level = max(self.level - step_s * FALL_PER_S, 0.0)
        self.meters.put(SHED_LEVEL_PPM, <uint64_t>(self.level * 1e6))
        self._tell(now_ns)

    def _tell(self, uint64_t now_ns):
        if self.level > 0 or self.shed_count and not self.began_ns:
            self.calm_ns = now_ns
        if self.shed_count and not self.began_ns:
            self.began_ns = now_ns
            self.say(
                "shedding_began", f"{SHED_REASON_NAMES[self.reason]} is beyond its bound; requests are refused, "
                f"those of the class {self.names[self.count - 1]} first", reason=SHED_REASON_NAMES[self.reason],
            )
        elif self.began_ns and now_ns >= self.calm_ns + CALM_NS:
            self.say(
                "shedding_ended", f"after {(now_ns - self.began_ns) / 1e9:.0f} s; {self.shed_count} requests were refused",
                "info", refused=self.shed_count,
            )
            self.began_ns = 0
            self.shed_count = 0

    # For tests and tools.

    def asks(self, unsigned rank, long in_flight, uint64_t random) -> bool:
        """Whether a request of that rank is shed; ``random``: 64 bits."""
        return self.is_on(in_flight) and self.sheds(rank, in_flight, random)

    def __repr__(self):
        return f"<Shedder level {self.level:.2f} of {self.count}>"
