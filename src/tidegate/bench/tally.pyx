"""What came of a load, counted where it happens.

Answers are kept apart by their exact status: a server that refuses half of what it is asked in no time has not become
faster, which one histogram of all answers would say. The histogram of a second has two digits, which is a twelfth of the
memory, and enough to draw.
"""

from libc.stdint cimport int64_t, uint64_t

from tidegate.bench.histogram cimport Histogram

cdef enum:
    STATUSES = 1000


cdef class Second:

    @property
    def answers(self):
        """How many, by class ("2xx"); classes without any are left out."""
        return {f"{i}xx": self.classes[i] for i in range(1, 6) if self.classes[i] != 0}

    def __repr__(self):
        return f"<Second {self.at}: {self.due} due, {self.sent} sent, {self.answers} answered, {self.failed} failed>"


cdef class Outcome:

    def __repr__(self):
        return f"<Outcome {self.status}: {self.latency!r}>"


cdef class Tally:

    def __init__(self, on_second=None):
        self.by_status = [None] * STATUSES
        self.kinds = {}
        self.late = Histogram()
        self.connect = Histogram()
        self.seconds = []
        self.on_second = on_second
        self.turn_second(0)

    cdef void answered(self, int status, uint64_t latency_ns, uint64_t service_ns):
        cdef Outcome outcome = self.by_status[status]
        if outcome is None:
            outcome = Outcome.__new__(Outcome)
            outcome.status = status
            outcome.latency = Histogram()
            outcome.service = Histogram()
            self.by_status[status] = outcome
        outcome.latency.record(latency_ns)
        outcome.service.record(service_ns)

    cdef void failed(self, str kind, str detail):
        known = self.kinds.get(kind)
        if known is None:
            self.kinds[kind] = [1, detail]
        else:
            known[0] += 1

    cdef void turn_second(self, int64_t at):
        """A new one begins; the one before is over, and is told or kept when anything was asked or happened in it."""
        cdef Second over = self.second
        self.second = Second.__new__(Second)
        self.second.at = at
        self.second.latency = Histogram(2)
        if over is not None and (over.due or over.sent or over.failed or over.latency.total):
            if self.on_second is not None:
                self.on_second(over)
            else:
                self.seconds.append(over)

    def add_answer(self, int status, uint64_t latency_ns, uint64_t service_ns):
        if not 100 <= status < STATUSES:
            raise ValueError(f"a status is 100 to 999, got {status}")
        self.answered(status, latency_ns, service_ns)

    def add_failure(self, str kind not None, str detail not None):
        self.failed(kind, detail)

    def begin_second(self, int64_t at):
        self.turn_second(at)

    @property
    def outcomes(self):
        """By status, smallest first."""
        return [outcome for outcome in self.by_status if outcome is not None]

    @property
    def errors(self):
        """How many of each kind, and the words of the first."""
        return {kind: tuple(known) for kind, known in sorted(self.kinds.items())}

    def __repr__(self):
        answers = ", ".join(f"{one.latency.total} x {one.status}" for one in self.outcomes)
        return f"<Tally {self.due} due, {self.sent} sent; {answers or 'no answers'}; errors {self.errors}>"
