"""The driver of a load.

Open loop: a request is due when the schedule says so. With a client free it is sent; how late that was is the
generator's own error (``Tally.late``). With none free it waits, and its time runs: that is the server's doing. Between two
events of one batch the schedule is looked at as well, so that a batch of answers delays nothing.

Closed loop: each client sends when it has its answer, and latency and service time are the same. It finds out how much a
server can do, and nothing of how long its clients wait.

What is due before ``count_ns`` warms up, and is in the seconds but not in the sums. After ``end_ns`` nothing is due any
more, and what is under way is awaited for as long as it has patience: it is counted, so no slow answer is lost at the end.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from tidegate.bench.client cimport CLOSED, Client, Crew
from tidegate.bench.loop cimport Loop
from tidegate.bench.requests cimport Requests
from tidegate.bench.schedule cimport Schedule
from tidegate.bench.tally cimport Tally
from tidegate.bench.websocket cimport WebSocketClient
from tidegate.upstream.connection cimport DialSettings, UpstreamConnection
from tidegate.upstream.peer cimport Peer
from tidegate.upstream.pool cimport Pool

from tidegate.bench.websocket import opening
from tidegate.config.upstreams import Pool as Bounds

cdef enum:
    OPENED_AT_ONCE = 64         # this is no test of the listen queue
    SECOND_NS = 1000000000
    NEVER = 0xFFFFFFFFFFFFFFFF


cdef class Load(Crew):

    def __init__(
        self, Loop loop not None, Peer peer not None, Requests requests not None, Schedule schedule, *, long clients,
        double patience_s, bint is_fresh=False, websocket=None, Tally tally=None, is_to_stop=None,
    ):
        cdef Client client
        cdef long i
        if clients < 1:
            raise ValueError(f"a load has at least one client, got {clients}")
        if self.free != NULL:
            raise RuntimeError("a load is made once")
        self.loop = loop
        self.reactor = loop.reactor
        self.requests = requests
        self.schedule = schedule
        self.patience_ns = <uint64_t>(patience_s * 1e9)
        self.is_fresh = is_fresh
        self.is_to_stop = is_to_stop
        self.tally = Tally() if tally is None else tally
        self.pool = Pool(peer, Bounds(max=clients))
        self.settings = DialSettings(patience_s)
        self.next_due_ns = NEVER
        self.next_second_ns = NEVER
        self.resting = []
        self.free = <void**>calloc(clients, sizeof(void*))
        if self.free == NULL:
            raise MemoryError
        self.clients = []
        for i in range(clients):
            client = Client.__new__(Client) if websocket is None else WebSocketClient.__new__(WebSocketClient)
            client.crew = self
            if websocket is not None:
                (<WebSocketClient>client).opening, (<WebSocketClient>client).accept = opening(*websocket)
            self.clients.append(client)
        self.reactor.add_tick_hook(self._tick)

    def __dealloc__(self):
        free(self.free)
        free(self.waiting)

    # -- opening ----------------------------------------------------------------------------------------------------------

    def open(self, double timeout_s):
        """Connects all clients, a few at a time; afterwards ``usable`` and ``broken`` say how many are. Of a load with fresh
        connections none is connected, and all are usable."""
        cdef Client client
        cdef uint64_t until_ns
        cdef long begun = 0
        self.reactor.refresh_clock()
        until_ns = self.reactor.now_ns + <uint64_t>(timeout_s * 1e9)
        self.is_opening = True
        for client in self.clients:
            if self.is_fresh:
                self.usable += 1
                self.put_free(client)
                continue
            begun += 1
            client.open()
            while begun - self.usable - self.broken >= OPENED_AT_ONCE and self.reactor.now_ns < until_ns and self.stopped_ns == 0:
                self.loop.turn(until_ns)
        while self.usable + self.broken < len(self.clients) and self.reactor.now_ns < until_ns and self.stopped_ns == 0:
            self.loop.turn(until_ns)
        for client in self.clients:
            if client.is_busy():
                client.fail("connection_timeout", "not connected in time")
        self.is_opening = False

    # -- running ----------------------------------------------------------------------------------------------------------

    def run(self, double seconds, *, double warm_up_s=0.0, uint64_t start_ns=0):
        """Sends until the end, awaits what is under way; returns for how many seconds what is counted was sent.

        start_ns: when it begins, on CLOCK_MONOTONIC; 0: now.
        """
        cdef Client client
        cdef uint64_t until_ns
        self.reactor.refresh_clock()
        self.start_ns = max(start_ns, self.reactor.now_ns)
        self.count_ns = self.start_ns + <uint64_t>(warm_up_s * 1e9)
        self.end_ns = self.count_ns + <uint64_t>(seconds * 1e9)
        while self.reactor.now_ns < self.start_ns and self.stopped_ns == 0:
            self.loop.turn(self.start_ns)
        self.turn_second()
        if self.schedule is not None:
            self.advance()
        elif self.stopped_ns == 0:
            while self.free_count:
                client = self.take_free()
                self.take_on(client, self.reactor.now_ns)
        while self.stopped_ns == 0:
            if self.reactor.now_ns >= self.next_second_ns:
                self.turn_second()
            self.launch()
            if self.reactor.now_ns >= self.end_ns and self.busy == 0 and self.waiting_count == 0:
                break
            until_ns = min(self.next_due_ns, self.next_second_ns)
            if self.reactor.now_ns < self.end_ns:
                until_ns = min(until_ns, self.end_ns)
            self.loop.turn(until_ns)
        self.turn_second()
        until_ns = self.end_ns if self.stopped_ns == 0 else min(self.end_ns, self.stopped_ns)
        return (until_ns - self.count_ns) / 1e9 if until_ns > self.count_ns else 0.0

    @property
    def unfinished(self):
        """Requests that were due, and have neither been answered nor failed."""
        return self.busy + <long>self.waiting_count

    def close(self):
        """Hangs up. What is under way is not counted."""
        cdef Client client
        for client in self.clients:
            client.hang_up()
            client.crew = None      # the circle would keep both alive
        self.clients = []
        self.free_count = 0

    cdef void advance(self):
        cdef double at_s = self.schedule.next_s()
        self.next_due_ns = NEVER if at_s > 1e9 else self.start_ns + <uint64_t>(at_s * 1e9)
        if self.next_due_ns >= self.end_ns:
            self.next_due_ns = NEVER

    cdef void launch(self):
        """Sends what is due, as far as clients are free."""
        cdef uint64_t due_ns
        while self.waiting_count != 0 and self.free_count != 0:
            self.take_on(self.take_free(), self.take_waiting())
        while self.next_due_ns <= self.reactor.now_ns:
            due_ns = self.next_due_ns
            self.advance()
            self.tally.second.due += 1
            if due_ns >= self.count_ns:
                self.tally.due += 1
            if self.free_count != 0:
                self.reactor.refresh_clock()
                if due_ns >= self.count_ns:
                    self.tally.late.record(self.reactor.now_ns - due_ns)
                self.take_on(self.take_free(), due_ns)
            else:
                if due_ns >= self.count_ns:
                    self.tally.waited += 1
                self.put_waiting(due_ns)

    cdef void take_on(self, Client client, uint64_t due_ns):
        cdef bytes text = self.requests.next()
        if self.schedule is None:
            self.tally.second.due += 1
            if due_ns >= self.count_ns:
                self.tally.due += 1
        if self.reactor.now_ns < self.end_ns:
            self.tally.second.sent += 1
            if due_ns >= self.count_ns:
                self.tally.sent += 1
        self.busy += 1
        client.begin(text, self.requests.is_head, due_ns)

    cdef void go_on(self, Client client):
        """With an exchange behind it and all in order."""
        if self.schedule is None and self.reactor.now_ns < self.end_ns and self.stopped_ns == 0:
            self.take_on(client, self.reactor.now_ns)
        elif self.waiting_count != 0:
            self.take_on(client, self.take_waiting())
        else:
            self.put_free(client)

    cdef void turn_second(self):
        """The second that it is now begins."""
        cdef int64_t at = <int64_t>(self.reactor.now_ns - self.count_ns)
        at = at // SECOND_NS if at >= 0 else -((SECOND_NS - 1 - at) // SECOND_NS)
        self.next_second_ns = self.count_ns + <uint64_t>((at + 1) * SECOND_NS)
        self.tally.turn_second(at)

    def _tick(self, now_ms):
        cdef Client client
        cdef uint64_t now_ns = self.reactor.now_ns
        if self.is_to_stop is not None and self.stopped_ns == 0 and self.is_to_stop():
            self.stopped_ns = now_ns
        if self.is_opening or self.start_ns == 0:
            return
        while self.waiting_count != 0 and self.waiting[self.waiting_from] + self.patience_ns < now_ns:
            if self.take_waiting() >= self.count_ns:
                self.tally.unsent += 1
                self.tally.failed("not_sent", "no connection was free in time")
            self.tally.second.failed += 1
        for client in self.clients:
            if client.is_busy() and client.due_ns + self.patience_ns < now_ns:
                client.fail("http_response_timeout", "no answer in time")
        resting = self.resting
        self.resting = []
        for client in resting:
            if now_ns < self.end_ns and self.stopped_ns == 0:
                self.take_on(client, now_ns)

    # -- what clients say ---------------------------------------------------------------------------------------------------

    cdef void connected(self, Client client):
        self.tally.connect.record(client.connection.connect_ns)

    cdef void opened(self, Client client):
        self.usable += 1
        self.put_free(client)

    cdef void answered(self, Client client):
        cdef uint64_t now_ns = self.reactor.now_ns
        if client.due_ns >= self.count_ns:
            self.tally.answered(client.status, now_ns - client.due_ns, now_ns - client.begun_ns)
            if now_ns < self.end_ns:
                self.tally.in_time += 1
        self.tally.second.classes[min(client.status // 100, 5)] += 1
        self.tally.second.latency.record(now_ns - client.due_ns)
        self.busy -= 1
        self.go_on(client)
        if self.next_due_ns <= now_ns:
            self.launch()

    cdef void failed(self, Client client, str kind, str detail):
        if self.is_opening:
            self.broken += 1        # no request of anybody's: it is told, and not counted
            if self.trouble is None:
                self.trouble = (kind, detail)
            if self.schedule is None:
                self.resting.append(client)
            else:
                self.put_free(client)       # it dials when it is needed
            return
        self.busy -= 1
        self.tally.second.failed += 1
        if client.due_ns >= self.count_ns:
            self.tally.failed(kind, detail)
        if self.schedule is None:
            self.resting.append(client)
        else:
            self.put_free(client)

    cdef void lost(self, Client client):
        # It is among those that are free, and dials when it is needed.
        self.tally.lost += 1

    # -- who is free, and what waits ----------------------------------------------------------------------------------------

    cdef void put_free(self, Client client) noexcept:
        self.free[(self.free_from + self.free_count) % <size_t>len(self.clients)] = <void*>client
        self.free_count += 1

    cdef Client take_free(self):
        cdef Client client = <Client>self.free[self.free_from]
        self.free_from = (self.free_from + 1) % <size_t>len(self.clients)
        self.free_count -= 1
        return client

    cdef int put_waiting(self, uint64_t due_ns) except -1:
        cdef uint64_t* grown
        cdef size_t i
        if self.waiting_count == self.waiting_room:
            grown = <uint64_t*>malloc(max(self.waiting_room * 2, 1024) * sizeof(uint64_t))
            if grown == NULL:
                raise MemoryError
            for i in range(self.waiting_count):
                grown[i] = self.waiting[(self.waiting_from + i) % self.waiting_room]
            free(self.waiting)
            self.waiting = grown
            self.waiting_from = 0
            self.waiting_room = max(self.waiting_room * 2, 1024)
        self.waiting[(self.waiting_from + self.waiting_count) % self.waiting_room] = due_ns
        self.waiting_count += 1
        return 0

    cdef uint64_t take_waiting(self) noexcept:
        cdef uint64_t due_ns = self.waiting[self.waiting_from]
        self.waiting_from = (self.waiting_from + 1) % self.waiting_room
        self.waiting_count -= 1
        return due_ns

    def __repr__(self):
        kind = "closed loop" if self.schedule is None else repr(self.schedule)
        return f"<Load {kind}: {len(self.clients)} clients, {self.busy} busy, {self.waiting_count} waiting>"
