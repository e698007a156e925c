"""Commands out and replies in, in order: the part of a lane that every command passes.

A call appends its command to a buffer that is written once per turn of the loop, and returns a future. The server answers
in order, so each reply resolves the oldest future. Rules 1 to 4 and 6 of `lane` are kept here; what needs a decision
(waiting, deadlines, a connection that is lost) is asked of the lane, which is a subclass.
"""

from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from tidegate.redis.meters cimport CommandMeter, Meters, PrefixMeter, bucket_of

from collections import deque
from typing import NamedTuple

from hiredis import PushNotification, pack_command

from tidegate.errors import GatewayError
from tidegate.redis.commands import COUNTED, LARGE, encode_in_pieces, key_of

cdef enum:
    KEYS_COUNTED = -2           # of ``commands.key_at``
    LARGE_MIN = 64 << 10        # ``commands.LARGE``
    WRITE_MAX = 256 << 10       # bytes handed over in one turn

assert COUNTED == KEYS_COUNTED and LARGE == LARGE_MIN

cdef object push_type = PushNotification
cdef object pack = pack_command


class Waiter(NamedTuple):
    """A caller who waits for room, or for a connection."""

    future: object
    args: tuple
    deadline: float         # of the waiting
    late_at: float | None   # of the reply, when it is not the lane's own


cdef inline double clock_s() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef tuple NONE_COUNTED = (0, "0", b"0")


def has_large(tuple args not None):
    """Whether one of the arguments is better sent from where it lies."""
    for one in args:
        if type(one) is bytes:
            if len(<bytes>one) >= LARGE_MIN:
                return True
        elif not isinstance(one, (int, float)) and len(one) >= LARGE_MIN:
            return True
    return False


cdef class Command:
    """One command in flight."""

    def __init__(self, future, tuple args not None):
        self.future = future
        self.args = args

    def __repr__(self):
        return f"<Command {self.args[0]!r} of {self.size} bytes, {'left' if self.future.done() else 'awaited'}>"


cdef class Pipeline:
    """loop: where it lives. meters: where commands are counted. batch: commands that end a linger. linger_s: how long a
    command waits for others, 0: until the end of the turn. timeout_s: from handing over to the reply. max_commands,
    max_bytes: in flight."""

    def __init__(
        self, loop, Meters meters not None, *, int64_t batch, double linger_s, double timeout_s, int64_t max_commands,
        int64_t max_bytes,
    ):
        self.loop = loop
        self.new_future = loop.create_future
        self.call_soon = loop.call_soon
        self.meters = meters
        self.batch = batch
        self.linger_s = linger_s
        self.timeout_s = timeout_s
        self.max_commands = max_commands
        self.max_bytes = max_bytes
        self.in_flight = deque()
        self.turns = deque()
        self.out = deque()
        self.waiting = deque()
        self.resumed_at = -1.0

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, *args):
        """Sends a command; the future has its reply, or raises GatewayError."""
        future = self.new_future()
        self.enqueue(future, args)
        return future

    def send(self, tuple args not None, timeout_s=None):
        """The same for a command as a tuple. timeout_s: until the reply, when not the lane's own."""
        future = self.new_future()
        self.enqueue(future, args, timeout_s)
        return future

    def enqueue(self, future, tuple args not None, timeout_s=None):
        """The same for a future that is there: a command that another server has sent here."""
        cdef CommandMeter meter
        if (
            self.connection is None or self.flying >= self.max_commands or self.bytes_in_flight >= self.max_bytes
            or self.waiting
        ):
            self.wait(future, args, timeout_s)
            return
        self.send_now(future, args)
        if timeout_s is not None:
            self.watch(self.now() + <double>timeout_s, future)

    cdef void send_now(self, object future, tuple args) except *:
        cdef CommandMeter meter = self.meters.command_of(args[0])
        cdef PrefixMeter prefix = None
        cdef Py_ssize_t at = meter.key_at
        if at == KEYS_COUNTED:
            at = 3 if len(args) > 3 and args[2] not in NONE_COUNTED else 0
        if at < 0:
            key = key_of(args)
            if key is not None:
                prefix = self.meters.prefix_of(key)
        elif at > 0 and at < len(args):
            key = args[at]
            if type(key) is str or type(key) is bytes:
                prefix = self.meters.prefix_of(key)
        self.put(future, args, meter, prefix)

    cdef void put(self, object future, tuple args, CommandMeter meter, PrefixMeter prefix) except *:
        cdef Command command = Command.__new__(Command)
        cdef bytes packed
        if len(args) > 2 and has_large(args):   # two arguments have no value among them, only a key
            command.size = encode_in_pieces(args)[0]
            self.out.append(args)
            self.large += 1
        else:
            packed = pack(args)
            command.size = len(packed)
            self.out.append(packed)
        command.future = future
        command.args = args
        command.meter = meter
        command.prefix = prefix
        if prefix is not None:
            prefix.commands += 1
            prefix.bytes_out += command.size
        self.bytes_in_flight += command.size
        self.out_bytes += command.size
        self.in_flight.append(command)
        self.flying += 1
        self.new += 1
        if not self.is_scheduled:
            self.is_scheduled = True
            if self.linger_s > 0 and self.new < self.batch:
                self.linger = self.loop.call_later(self.linger_s, self.flush)
            elif self.resumed_at < 0:
                self.call_soon(self.flush)
            # else: callers of this turn have just been resumed, and `end_turn` writes what they ask for
        elif self.linger is not None and self.new >= self.batch:
            self.linger.cancel()
            self.linger = None
            self.call_soon(self.flush)

    def admit(self):
        """Those who wait get the room there is, in order."""
        while self.waiting and self.connection is not None:
            if self.flying >= self.max_commands or self.bytes_in_flight >= self.max_bytes:
                return
            future, args, deadline, late_at = self.waiting.popleft()
            if not future.done():
                self.send_now(future, args)
                if late_at is not None:
                    self.watch(late_at, future)

    # -- out --------------------------------------------------------------------------------------------------------

    def flush(self):
        """What this turn has brought is handed over together."""
        cdef double now
        self.is_scheduled = False
        self.linger = None
        if self.new == 0 or self.connection is None:
            return
        now = self.now()
        self.turns.append((self.new, now))
        self.new = 0
        if not self.is_timed:
            self.is_timed = True
            self.watch(now + self.timeout_s, None)
        self.write()

    def write(self):
        """Hands over what waits, `WRITE_MAX` bytes at most, as long as the connection takes it."""
        if self.connection is None or self.connection.is_paused:
            return  # it says when it takes more
        if self.rest is None and self.large == 0 and self.out_bytes <= WRITE_MAX:
            count = len(self.out)
            if count == 0:
                return
            data = self.out.popleft() if count == 1 else b"".join(self.out)
            self.out.clear()
            self.out_bytes = 0
            self.commands += count
        else:
            data = self.next_piece()
        self.writes += 1
        self.bytes_out += len(data)
        self.write_bytes(data)
        if (self.out or self.rest is not None) and self.connection is not None and not self.connection.is_paused:
            self.call_soon(self.write)

    cdef bytes next_piece(self):
        """About `WRITE_MAX` bytes of what waits; the rest of a large command follows in the next turn."""
        cdef list pieces = []
        cdef int64_t size = 0
        while size < WRITE_MAX:
            if self.rest is None:
                if not self.out:
                    break
                command = self.out.popleft()
                self.commands += 1
                if type(command) is bytes:
                    pieces.append(command)
                    size += len(command)
                    continue
                self.large -= 1
                self.rest = encode_in_pieces(command)[1]
            piece = next(self.rest, None)
            if piece is None:
                self.rest = None
            else:
                pieces.append(piece)
                size += len(piece)
        self.out_bytes -= size
        return b"".join(pieces)

    # -- in ---------------------------------------------------------------------------------------------------------

    def take(self, list replies not None):
        """All replies of one read, each to the oldest command in flight. No caller runs meanwhile."""
        cdef double now = self.now()
        cdef int64_t us = <int64_t>((now - self.turn_at) * 1e6)
        cdef int bucket = bucket_of(us)
        cdef int64_t expired = self.expired, size
        cdef Command command
        popleft = self.in_flight.popleft
        self.heard_at = now
        if self.failures:
            self.failures = 0
            self.heard()
        for reply in replies:
            if type(reply) is push_type:
                self.pushed(reply)
                continue
            if self.turn_left == 0:
                if not self.turns:
                    self.out_of_step()
                    return
                self.turn_left, self.turn_at = self.turns.popleft()
                us = <int64_t>((now - self.turn_at) * 1e6)
                bucket = bucket_of(us)
            self.turn_left -= 1
            if self.expired > 0:
                self.expired -= 1
            command = popleft()
            self.flying -= 1
            self.bytes_in_flight -= command.size
            command.meter.record(us, bucket)
            size = 0
            if type(reply) is bytes:
                size = len(<bytes>reply)
            elif isinstance(reply, GatewayError):
                command.meter.errors += 1
                if command.future.done():
                    self.dropped += 1
                elif not self.refused(reply, command):
                    command.future.set_exception(reply)
                continue
            elif type(reply) is list or type(reply) is dict:
                size = size_of(reply)
            self.bytes_in += size
            if command.prefix is not None:
                command.prefix.bytes_in += size
            if command.future.done():
                self.dropped += 1
            else:
                command.future.set_result(reply)
        if self.waiting:
            self.admit()
        if self.resumed_at < 0 and replies:
            self.resumed_at = clock_s()
            self.call_soon(self.end_turn)

    def end_turn(self):
        """The callers whose replies were read have run: what they spent is not the server's time.

        What they have asked for meanwhile goes out now, without another turn of the loop.
        """
        self.held_s += clock_s() - self.resumed_at
        self.resumed_at = -1.0
        if self.is_scheduled and self.linger is None:
            self.flush()

    # -- time -------------------------------------------------------------------------------------------------------

    cdef double now(self) noexcept:
        return clock_s() - self.held_s

    @property
    def now_s(self):
        """The lane's own time: the clock less what callers have spent after their replies."""
        return self.now()

    def take_late(self, double now):
        """Who was handed over longer than ``timeout_s`` ago and was not told before; and whether all was silent since."""
        cdef int64_t count = 0, known = self.expired
        cdef double sent_at = 0.0
        for number, at in self.every_turn():
            if at + self.timeout_s > now:
                break
            count += number
            sent_at = at
        if count <= known:
            return [], False
        self.expired = count
        late = [(<Command>self.in_flight[i]).future for i in range(known, count)]
        return late, self.heard_at < sent_at

    def next_late_s(self):
        """When the next in flight will be late; None when there is none. Looks are over then."""
        cdef int64_t count = 0
        for number, at in self.every_turn():
            count += number
            if count > self.expired:
                return at + self.timeout_s
        self.is_timed = False
        return None

    def every_turn(self):
        """Commands and time of each turn that is not answered, the oldest first."""
        return [(self.turn_left, self.turn_at), *self.turns]

    # -- the connection ---------------------------------------------------------------------------------------------

    @property
    def in_flight_count(self):
        """How many commands wait for their reply, or to be written."""
        return self.flying

    def use(self, connection):
        """Goes on with another connection, or with none."""
        self.connection = connection
        self.write_bytes = None if connection is None else connection.write
        self.heard_at = self.now()

    def take_all(self):
        """Everything in flight, as if there had been no connection: what was handed over, at least in part, and the rest
        with the time of each."""
        ages = [at for number, at in self.every_turn() for _ in range(number)]
        written = list(self.in_flight)
        first = len(written) - len(self.out)
        now = self.now()
        unwritten = [(written[i], ages[i] if i < len(ages) else now) for i in range(first, len(written))]
        self.in_flight.clear()
        self.turns.clear()
        self.out.clear()
        self.rest = None
        self.turn_left = self.flying = self.new = self.expired = self.bytes_in_flight = self.out_bytes = self.large = 0
        return written[:first], unwritten


cdef int64_t size_of(reply):
    """Bytes of the strings in a reply, one level deep: of what lists and maps hold."""
    cdef int64_t size = 0
    for one in reply if type(reply) is list else (*reply, *reply.values()):
        if type(one) is bytes:
            size += len(<bytes>one)
    return size
